"""Folders and what is chosen of them: ids, labels, subsets, identities and clear errors."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ood_core.data import BrokenImageError, open_dataset
from ood_core.data.image_set import ImageSet
from ood_core.errors import DataError
from ood_core.experiments import DataSpec

Make = Callable[..., Path]
Zip = Callable[..., Path]


def folder(root: Path, **options: object) -> ImageSet:
    return open_dataset(DataSpec("mine", "folder", str(root), options))


def listed(file: Path, kind: str = "image_list", **options: object) -> ImageSet:
    return open_dataset(DataSpec("mine", kind, str(file), options))


def test_flat_folder_has_no_labels(make_images: Make) -> None:
    images = folder(make_images("b.png", "a.png", "C.PNG"))
    assert images.ids == ("C.PNG", "a.png", "b.png")
    assert images.labels is None
    assert images.class_names is None
    assert np.asarray(images.load(1))[0, 0, 0] == 1


def test_class_folders_give_labels_in_sorted_order(make_images: Make) -> None:
    images = folder(make_images("dog/1.png", "cat/2.png", "cat/deep/3.png"))
    assert images.ids == ("cat/2.png", "cat/deep/3.png", "dog/1.png")
    np.testing.assert_array_equal(images.labels, [0, 0, 1])
    assert images.class_names == ("cat", "dog")


def test_class_names_number_the_folders_as_the_network_does(make_images: Make) -> None:
    names = ("dog", "bird", "cat")
    images = folder(make_images("dog/1.png", "cat/2.png"), class_names=names, num_classes=3)
    np.testing.assert_array_equal(images.labels, [2, 0])
    assert images.class_names == names


def test_label_map_renames_folders(make_images: Make) -> None:
    root = make_images("hund/1.png", "katze/2.png")
    options = {"label_map": {"hund": "dog", "katze": 0}, "class_names": ("cat", "dog")}
    np.testing.assert_array_equal(folder(root, **options).labels, [1, 0])


def test_hidden_files_and_other_files_are_no_images(make_images: Make) -> None:
    root = make_images("a/1.png", "a/.hidden.png", ".git/2.png", "b/3.png")
    (root / "a" / "notes.txt").write_text("x")
    assert folder(root).ids == ("a/1.png", "b/3.png")


def test_a_link_that_leads_back_is_not_followed(make_images: Make) -> None:
    root = make_images("a/1.png", "b/2.png")
    (root / "a" / "loop").symlink_to(root)
    assert folder(root).ids == ("a/1.png", "b/2.png")


def test_a_folder_that_cannot_be_read(make_images: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_images("a/1.png", "b/2.png")

    def refused(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("ood_core.experiments.sources.os.scandir", refused)
    with pytest.raises(DataError, match=r"images' cannot be read \(Permission denied\)"):
        folder(root)


def test_ood_sets_need_no_labels_and_mix_depths(make_images: Make) -> None:
    images = folder(make_images("x/1.png", "2.png"), role="ood")
    assert len(images) == 2
    assert images.labels is None


def test_labels_none_turns_class_folders_off(make_images: Make) -> None:
    images = folder(make_images("part1/1.png", "part2/2.png"), labels="none", role="fit")
    assert images.labels is None


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ([], {}, r"data set 'mine': the folder '.*' holds no images"),
        (["a/1.png", "2.png"], {}, r"1 of 2 images lie beside the class folders, the first is 2"),
        (
            ["kat/1.png", "dog/2.png"],
            {"class_names": ("cat", "dog")},
            r"'kat' is not a class of the classifier\. Did you mean 'cat'\? Available: cat, dog\.",
        ),
        (
            [f"{letter}/1.png" for letter in "stuvwxyz"],
            {"class_names": ("cat", "dog")},
            r"'s' is not a class of the classifier",
        ),
        (
            ["a/1.png", "b/2.png"],
            {"num_classes": 3},
            r"has 2 classes \(a, b\) but the classifier has 3, so they cannot be numbered",
        ),
        (
            ["a/1.png", "a/2.png"],
            {"role": "fit"},
            r"holds images of one class only \(a\); a fit set needs several",
        ),
        (
            ["a/1.png", "b/2.png"],
            {"label_map": {"a": 0, "b": 7}, "num_classes": 5},
            r"label 7 of b/2\.png is out of range \(1 of 2 are\)\. Allowed: 0 to 4, or -1",
        ),
        (["1.png"], {"per_class": 3}, r"per_class = 3 needs class folders or labels"),
    ],
    ids=[
        "empty",
        "mixed",
        "not-a-class",
        "no-class",
        "class-count",
        "one-class",
        "range",
        "per-class",
    ],
)
def test_folder_errors(
    make_images: Make, names: list[str], options: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        folder(make_images(*names), **options)


def test_missing_folder_and_file_instead_of_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'mine': '.*gone' is not on disk"):
        folder(tmp_path / "gone")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file, not a folder"):
        folder(tmp_path / "file")


def test_relative_sources_are_found_in_the_data_roots(
    make_images: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_images("1.png")
    monkeypatch.setenv("OOD_LENS_DATA", f"{root.parent / 'nowhere'}{os.pathsep}{root.parent}")
    assert len(folder(Path(root.name))) == 1


def test_a_broken_image_is_named_and_the_others_are_read(make_images: Make) -> None:
    root = make_images("1.png", "2.png", "3.png")
    (root / "2.png").write_bytes(b"not a picture")
    images = folder(root)
    assert len(images) == 3
    with pytest.raises(BrokenImageError, match=r"images/2\.png: not an image"):
        images.load(1)
    assert np.asarray(images.load(2))[0, 0, 0] == 2


# Identity


def test_identity_changes_with_content_order_labels_and_place(make_images: Make) -> None:
    root = make_images("a/1.png", "b/2.png")
    first = folder(root).identity
    assert folder(root).identity == first
    assert folder(root, class_names=("b", "a")).identity != first
    os.utime(root / "a" / "1.png", ns=(1, 1))
    touched = folder(root).identity
    assert touched != first
    shutil.copytree(root, root.with_name("copy"))
    assert folder(root.with_name("copy")).identity != touched
    shutil.copy(root / "a" / "1.png", root / "a" / "4.png")
    assert folder(root).identity != touched


def test_identity_of_a_file_that_went_away(make_images: Make) -> None:
    root = make_images("1.png", "2.png")
    images, before = folder(root), folder(root).identity
    (root / "1.png").unlink()
    assert images.identity != before


def test_sets_travel_to_other_processes(make_images: Make, zipped: Zip) -> None:
    root = make_images("a/1.png", "b/2.png")
    for images in (folder(root), listed(zipped(root), "zip")):
        images.load(0)
        again = pickle.loads(pickle.dumps(images))
        assert again.identity == images.identity
        np.testing.assert_array_equal(np.asarray(again.load(1)), np.asarray(images.load(1)))


# Subsets


def test_limit_is_deterministic_in_order_and_nested(make_images: Make) -> None:
    root = make_images(*(f"{i:02d}.png" for i in range(30)))
    few, more = folder(root, limit=5).ids, folder(root, limit=12).ids
    assert len(few) == 5
    assert set(few) < set(more)
    assert list(more) == sorted(more)
    assert folder(root, limit=5).ids == few
    assert len(folder(root, limit=99)) == 30
    assert few != tuple(f"{i:02d}.png" for i in range(5))


def test_per_class_takes_the_same_number_of_each(make_images: Make) -> None:
    root = make_images(*(f"{c}/{i}.png" for c in "abc" for i in range(8)), "d/0.png")
    images = folder(root, per_class=3)
    np.testing.assert_array_equal(np.bincount(images.labels), [3, 3, 3, 1])
    both = folder(root, per_class=3, limit=4)
    assert len(both) == 4
    assert set(both.ids) < set(images.ids)
    ood = folder(root, per_class=2, role="ood")
    assert len(ood) == 7
    assert ood.labels is None


def test_a_subset_keeps_the_numbers_of_all_classes(make_images: Make) -> None:
    root = make_images("a/1.png", "b/2.png", "c/3.png")
    images = folder(root, limit=1)
    assert images.class_names == ("a", "b", "c")
    assert images.ids[0][0] == "abc"[images.labels[0]]


def test_every_kind_of_an_experiment_file_has_an_opener() -> None:
    from ood_core.data import opening
    from ood_core.experiments.sources import SET_KINDS

    assert opening._OPENERS.keys() == SET_KINDS.keys()


COMPOSED, APART = "caf\u00e9", "cafe\u0301"
"""One word as most systems write it, and as macOS does."""


@pytest.mark.parametrize(
    "given", [{"class_names": (COMPOSED, "tea")}, {"class_names": (APART, "tea")}]
)
@pytest.mark.parametrize("folders", [COMPOSED, APART])
def test_an_accent_is_the_same_in_either_form(
    make_images: Make, folders: str, given: dict[str, object]
) -> None:
    images = folder(make_images("tea/1.png", f"{folders}/2.png"), role="test", **given)
    assert dict(zip(images.ids, images.labels, strict=True)) == {
        "tea/1.png": 1,
        f"{folders}/2.png": 0,
    }
    mapped = folder(images.root, label_map={COMPOSED: "tea"}, class_names=("x", "tea"))
    np.testing.assert_array_equal(mapped.labels, [1, 1])


def test_a_class_that_is_missed_says_why(make_images: Make) -> None:
    root = make_images("a/1.png", "b/2.png")
    for name in ("c", "d", ".cache"):
        (root / name).mkdir()
    (root / "d" / "photo.heic").write_bytes(b"x")
    with pytest.raises(DataError, match="has 2 classes") as caught:
        folder(root, role="fit", num_classes=3)
    assert str(caught.value).endswith("No image that can be read lies in the folder of c, d.")

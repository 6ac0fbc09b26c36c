"""Folders, lists, manifests and zips: ids, labels, subsets, identities and clear errors."""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ood_core.data import BrokenImageError, open_dataset
from ood_core.data import archive as archive_module
from ood_core.data.image_set import ImageSet
from ood_core.errors import DataError
from ood_core.experiments import DataSpec

Make = Callable[..., Path]


def folder(root: Path, **options: object) -> ImageSet:
    return open_dataset(DataSpec("mine", "folder", str(root), options))


def listed(file: Path, kind: str = "image_list", **options: object) -> ImageSet:
    return open_dataset(DataSpec("mine", kind, str(file), options))


def zipped(root: Path, prefix: str = "") -> Path:
    file = root.with_suffix(".zip")
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, f"{prefix}{path.relative_to(root)}")
    return file


# Folders


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
    ids=["empty", "mixed", "not-a-class", "class-count", "one-class", "range", "per-class"],
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


def test_sets_travel_to_other_processes(make_images: Make) -> None:
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


# Image lists


def test_openood_layout_works_as_it_lies_on_disk(make_images: Make, tmp_path: Path) -> None:
    make_images("cifar10/test/cat/0.png", "cifar10/test/dog/1.png", root="images_classic")
    make_images("textures/x y/2.png", root="images_largescale")
    lists = tmp_path / "benchmark_imglist" / "cifar10"
    lists.mkdir(parents=True)
    (lists / "test_cifar10.txt").write_text("cifar10/test/cat/0.png 3\ncifar10/test/dog/1.png 5\n")
    (lists / "test_texture.txt").write_text("textures/x y/2.png -1\n")
    images = listed(lists / "test_cifar10.txt", num_classes=10, role="test")
    assert images.ids == ("cifar10/test/cat/0.png", "cifar10/test/dog/1.png")
    np.testing.assert_array_equal(images.labels, [3, 5])
    assert np.asarray(images.load(1))[0, 0, 0] == 1
    assert len(listed(lists / "test_texture.txt", role="ood")) == 1
    given = listed(lists / "test_cifar10.txt", root=str(tmp_path / "images_classic"))
    assert given.ids == images.ids


def test_list_with_comments_names_spaces_bom_and_windows_lines(make_images: Make) -> None:
    root = make_images("a b.png", "c.png")
    file = root / "list.txt"
    file.write_bytes("\ufeff# two images\r\n\r\na b.png dog\r\nc.png\tcat\r\n".encode())
    images = listed(file, class_names=("cat", "dog"))
    assert images.ids == ("a b.png", "c.png")
    np.testing.assert_array_equal(images.labels, [1, 0])


def test_list_without_labels(make_images: Make) -> None:
    root = make_images("a b.png", "c.png")
    (root / "list.txt").write_text("a b.png\nc.png\n")
    assert listed(root / "list.txt").labels is None


def test_an_image_that_a_list_names_but_that_is_gone_is_broken_not_fatal(make_images: Make) -> None:
    root = make_images("a.png")
    (root / "list.txt").write_text("a.png 0\ngone.png 1\n")
    images = listed(root / "list.txt")
    assert images.load(0).size == (5, 4)
    with pytest.raises(BrokenImageError, match=r"gone\.png: cannot be read"):
        images.load(1)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (b"", {}, "the list '.*' names no images"),
        (b"# nothing\n\n", {}, "the list '.*' names no images"),
        (b"\xff\xfe\x00a.png", {}, "is not UTF-8 text, so it is no list of images"),
        (b"a.png 0\nb.png\n", {}, r"line 2 of '.*' has no label but others have; write -1"),
        (b"x/a.png 0\n", {}, r"none of the images of '.*' is there; the first is 'x/a\.png'"),
        (b"a.png 10\n", {"num_classes": 10}, r"label 10 of a\.png is out of range"),
        (b"a.png -2\n", {"num_classes": 10}, r"label -2 of a\.png is out of range"),
        (b"a.png 0\n", {"root": "nowhere"}, "root 'nowhere' is not on disk"),
        (b"a.png 1\nb.png 1\n", {"role": "fit", "num_classes": 9}, r"one class only \(1\)"),
    ],
)
def test_list_errors(
    make_images: Make, text: bytes, options: dict[str, object], message: str
) -> None:
    root = make_images("a.png", "b.png")
    (root / "list.txt").write_bytes(text)
    with pytest.raises(DataError, match=message):
        listed(root / "list.txt", **options)


# Manifests


@pytest.mark.parametrize("format", ["csv", "tsv", "parquet"])
def test_manifests(make_images: Make, format: str) -> None:
    root = make_images("a, b.png", "c.png", "d.png")
    table = pd.DataFrame({"path": ["a, b.png", "c.png", "d.png"], "label": [1, 0, -1]})
    file = root / f"table.{format}"
    if format == "parquet":
        table.to_parquet(file)
    else:
        table.to_csv(file, index=False, sep="," if format == "csv" else "\t")
    images = listed(file, "manifest", num_classes=2)
    assert images.ids == ("a, b.png", "c.png", "d.png")
    np.testing.assert_array_equal(images.labels, [1, 0, -1])


def test_manifest_with_other_columns_names_and_gaps(make_images: Make) -> None:
    root = make_images("a.png", "b.png")
    (root / "t.csv").write_text("file,kind,other\na.png,dog,1\nb.png,,2\n")
    options = {"path_column": "file", "label_column": "kind", "class_names": ("cat", "dog")}
    np.testing.assert_array_equal(listed(root / "t.csv", "manifest", **options).labels, [1, -1])


def test_manifest_without_labels(make_images: Make) -> None:
    root = make_images("a.png")
    (root / "t.csv").write_text("path\na.png\n")
    assert listed(root / "t.csv", "manifest").labels is None


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("t.csv", b"", {}, "the manifest '.*' is empty"),
        ("t.csv", b"path,label\n", {}, "the manifest '.*' names no images"),
        ("t.csv", b"paths\na.png\n", {}, "has no column 'path'. Did you mean 'paths'"),
        (
            "t.csv",
            b"path,y\na.png,1\n",
            {"label_column": "class"},
            "has no column 'class'. Available: path, y",
        ),
        ("t.csv", b"path,label\na.png\n", {}, "row 2 of '.*' has 1 cells, the header has 2"),
        ("t.csv", b"path,label\n ,3\n", {}, "row 1 of '.*' has an empty 'path'"),
        ("t.csv", b'path\n"a.png\n', {}, "is not a table"),
        ("t.parquet", b"PAR1 no", {}, "is not a Parquet file"),
        ("t.csv", b"\x00\xff\xff", {}, "is not UTF-8 text"),
    ],
)
def test_manifest_errors(
    make_images: Make, name: str, text: bytes, options: dict[str, object], message: str
) -> None:
    root = make_images("a.png")
    (root / name).write_bytes(text)
    with pytest.raises(DataError, match=message):
        listed(root / name, "manifest", **options)


# Zips


@pytest.mark.parametrize("prefix", ["", "images/"])
def test_zip_of_class_folders(make_images: Make, prefix: str) -> None:
    root = make_images("cat/1.png", "dog/2.png", "__MACOSX/cat/3.png")
    images = listed(zipped(root, prefix), "zip")
    assert images.ids == (f"{prefix}cat/1.png", f"{prefix}dog/2.png")
    np.testing.assert_array_equal(images.labels, [0, 1])
    assert np.asarray(images.load(1))[0, 0, 0] == 1
    assert images.thumbnail(0, 20).size == (20, 16)


def test_zip_identity_is_its_content(make_images: Make) -> None:
    root = make_images("a/1.png", "b/2.png")
    file = zipped(root)
    first = listed(file, "zip").identity
    os.utime(file, ns=(1, 1))
    assert listed(file, "zip").identity == first
    shutil.copy(root / "a" / "1.png", root / "b" / "2.png")
    assert listed(zipped(root), "zip").identity != first


def test_zip_errors(make_images: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.zip").write_text("not a zip")
    with pytest.raises(DataError, match=r"text\.zip: not a zip file, or damaged"):
        listed(tmp_path / "text.zip", "zip")
    empty = zipped(make_images(root="empty"))
    with pytest.raises(DataError, match=r"'.*empty\.zip' holds no images"):
        listed(empty, "zip")
    with pytest.raises(DataError, match="is a folder, not a file"):
        listed(make_images("1.png"), "zip")
    images = listed(zipped(make_images("1.png", root="large")), "zip")
    monkeypatch.setattr(archive_module, "MAX_MEMBER_BYTES", 10)
    with pytest.raises(BrokenImageError, match=r"large\.zip/1\.png: \d+ bytes unpacked is too"):
        images.load(0)


def test_a_damaged_member_is_named(make_images: Make) -> None:
    file = zipped(make_images("1.png"))
    data = bytearray(file.read_bytes())
    data[60] ^= 255
    file.write_bytes(data)
    with pytest.raises(BrokenImageError, match=r"images\.zip/1\.png: damaged in the archive"):
        listed(file, "zip").load(0)

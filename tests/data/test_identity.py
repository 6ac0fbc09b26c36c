"""What an identity stands for: every file as it is now, wherever it lies; never its absence."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ood_core.data import BrokenImageError, folder_identity, open_dataset
from ood_core.data.files import FileSet
from ood_core.data.image_set import ImageSet
from ood_core.data.torchvision_names import marker_path
from ood_core.data.torchvision_set import TorchvisionSet
from ood_core.errors import DataError
from ood_core.experiments import DataSpec

Make = Callable[..., Path]
Zip = Callable[..., Path]


def listed(file: Path, **options: object) -> ImageSet:
    kind = "image_list" if file.suffix == ".txt" else "manifest"
    return open_dataset(DataSpec("mine", kind, str(file), options))


def change(file: Path) -> None:
    """Other content of another size, under the same name."""
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(file)


def written(root: Path, how: str) -> str:
    """The path of `root/b.png` as a list below `root/lists` may write it."""
    image = root / "b.png"
    return {
        "absolute": str(image),
        "dots": "../b.png",
        "absolute with dots": str(root / "lists" / ".." / "b.png"),
        "home": f"~/{image.name}",
        "linked folder": "../linked/b.png",
    }[how]


@pytest.mark.parametrize("suffix", ["txt", "csv", "tsv"])
@pytest.mark.parametrize("how", ["absolute", "dots", "absolute with dots", "home", "linked folder"])
def test_a_changed_file_changes_the_identity_however_a_list_writes_it(
    make_images: Make, monkeypatch: pytest.MonkeyPatch, suffix: str, how: str
) -> None:
    root = make_images("b.png", "lists/a.png")
    (root / "linked").symlink_to(root)
    monkeypatch.setenv("HOME", str(root))
    gap = {"txt": " ", "csv": ",", "tsv": "\t"}[suffix]
    rows = [f"path{gap}label"] if suffix != "txt" else []
    rows += [f"a.png{gap}0", f"{written(root, how)}{gap}1"]
    file = root / "lists" / f"list.{suffix}"
    file.write_text("\n".join(rows) + "\n")
    images = listed(file)
    before = images.identity
    assert images.load(1).size == (5, 4)
    assert listed(file).identity == before
    os.utime(root / "b.png", ns=(1, 1))
    touched = listed(file).identity
    assert touched != before
    change(root / "b.png")
    assert listed(file).identity not in (before, touched)


def test_files_in_several_places_all_count(make_images: Make, tmp_path: Path) -> None:
    one, two = make_images("1.png", root="one"), make_images("2.png", root="two")
    (tmp_path / "list.txt").write_text(f"{one / '1.png'} 0\n{two / '2.png'} 1\n")
    seen = {listed(tmp_path / "list.txt").identity}
    for file in (one / "1.png", two / "2.png"):
        change(file)
        seen.add(listed(tmp_path / "list.txt").identity)
    assert len(seen) == 3


def test_the_target_of_a_link_counts(make_images: Make) -> None:
    root, other = make_images("a.png"), make_images("x.png", "y.png", root="other")
    change(other / "y.png")
    for target in ("x.png", "y.png"):
        (root / "link.png").unlink(missing_ok=True)
        (root / "link.png").symlink_to(other / target)
        images = open_dataset(DataSpec("mine", "folder", str(root)))
        if target == "x.png":
            before = images.identity
    assert images.ids == ("a.png", "link.png")
    assert images.identity != before
    after = images.identity
    os.utime(other / "y.png", ns=(1, 1))
    assert open_dataset(DataSpec("mine", "folder", str(root))).identity != after


def test_a_folder_behind_a_link_is_listed_again_when_the_link_moves(
    make_images: Make, tmp_path: Path
) -> None:
    for name, image in (("v1", "1.png"), ("v2", "2.png")):
        os.utime(make_images(image, root=name), ns=(10**18, 10**18))
    current = tmp_path / "current"
    spec = DataSpec("mine", "folder", str(current))
    current.symlink_to(tmp_path / "v1")
    first = open_dataset(spec)
    assert first.ids == ("1.png",)
    before = first.identity
    current.unlink()
    current.symlink_to(tmp_path / "v2")
    assert open_dataset(spec).ids == ("2.png",)
    assert open_dataset(spec).identity != before


def test_the_working_directory_does_not_count(
    make_images: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_images("a.png", "b.png")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(root.parent)
    relative = FileSet("mine", Path(root.name), ["a.png", "b.png"])
    monkeypatch.chdir(elsewhere)
    assert relative.identity == FileSet("mine", root, ["a.png", "b.png"]).identity
    assert relative.load(0).size == (5, 4)


# What is not there


def test_an_image_that_is_not_there_is_left_out_for_good(make_images: Make) -> None:
    root = make_images("a.png", "b.png")
    (root / "list.txt").write_text("a.png 0\nlater.png 1\nb.png 1\n")
    images = listed(root / "list.txt")
    without = images.identity
    change(root / "later.png")
    with pytest.raises(BrokenImageError, match=r"later\.png: cannot be read \(No such file"):
        images.load(1)
    with pytest.raises(BrokenImageError, match=r"later\.png: cannot be read"):
        images.thumbnail(1)
    assert images.load(2).size == (5, 4)
    with_it = listed(root / "list.txt")
    assert with_it.identity != without
    assert with_it.load(1).size == (7, 9)


@pytest.mark.parametrize("bad", ["b\0.png", "a.png/b.png", "x" * 400 + ".png", "loop.png"])
def test_what_cannot_be_looked_at_is_left_out_with_its_reason(make_images: Make, bad: str) -> None:
    root = make_images("a.png")
    (root / "loop.png").symlink_to("loop.png")
    images = FileSet("mine", root, ["a.png", bad])
    for _ in range(2):  # before the identity is asked for and after
        assert images.load(0).size == (5, 4)
        with pytest.raises(BrokenImageError, match="cannot be read"):
            images.load(1)
        assert len(images.identity) == 64


def test_no_identity_where_not_one_file_is_there(make_images: Make, zipped: Zip) -> None:
    root = make_images("a/1.png", "b/2.png")
    file = zipped(root)
    folder = open_dataset(DataSpec("mine", "folder", str(root)))
    archive = open_dataset(DataSpec("mine", "zip", str(file)))
    few = open_dataset(DataSpec("mine", "folder", str(root), {"limit": 1}))
    for path in (root / "a" / "1.png", root / "b" / "2.png", file):
        path.unlink()
    for images in (folder, few):
        with pytest.raises(DataError, match=r"not one of its \d images is there; the first, /"):
            _ = images.identity
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        _ = archive.identity
    with pytest.raises(DataError, match="holds no images"):
        folder_identity(str(root))


def test_an_archive_that_was_replaced(make_images: Make, zipped: Zip) -> None:
    file = zipped(make_images("a/1.png", "b/2.png"))
    asked, read = (open_dataset(DataSpec("mine", "zip", str(file))) for _ in range(2))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/1.png", b"")
    with pytest.raises(DataError, match=r"images\.zip/b/2\.png: no longer in the archive"):
        _ = asked.identity
    with pytest.raises(BrokenImageError, match="no longer in the archive"):
        read.load(1)


@pytest.mark.parametrize("gone", ["all", "link"])
def test_a_torchvision_set_without_its_files(tmp_path: Path, gone: str) -> None:
    spec = DataSpec("mine", "torchvision", "CIFAR10", {"split": "test"})
    folder = marker_path(spec, tmp_path)
    if gone == "link":
        folder.mkdir(parents=True)
        (folder / "test_batch").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"torchvision cannot read CIFAR10 in .*Remove the folder"):
        _ = TorchvisionSet(spec, tmp_path).identity

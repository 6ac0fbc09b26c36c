"""Image lists and tables: ids, labels, and clear errors."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ood_core.data import BrokenImageError, open_dataset
from ood_core.data.image_set import ImageSet
from ood_core.errors import DataError
from ood_core.experiments import DataSpec

Make = Callable[..., Path]


def listed(file: Path, kind: str = "image_list", **options: object) -> ImageSet:
    return open_dataset(DataSpec("mine", kind, str(file), options))


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
        (b"\xff\xfe\x00a.png0", {}, "is not text in UTF-8, .*, so it is no list of images"),
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
        ("t.csv", b"path,label\na.png\n", {}, "line 2 of '.*' has 1 cell, the header has 2"),
        ("t.csv", b"path,label\n ,3\n", {}, "line 2 of '.*' has an empty 'path'"),
        ("t.csv", b'path\n"a.png\n', {}, "is not a table"),
        ("t.parquet", b"PAR1 no", {}, "is not a Parquet file"),
        ("t.csv", b"\x00\xff\xff", {}, "is not text in UTF-8"),
    ],
)
def test_manifest_errors(
    make_images: Make, name: str, text: bytes, options: dict[str, object], message: str
) -> None:
    root = make_images("a.png")
    (root / name).write_bytes(text)
    with pytest.raises(DataError, match=message):
        listed(root / name, "manifest", **options)


@pytest.mark.parametrize("number", [2**31 + 1, 10**30, -(10**30)])
def test_a_label_that_no_array_holds(make_images: Make, number: int) -> None:
    root = make_images("a.png", "b.png")
    (root / "list.txt").write_text(f"a.png 0\nb.png {number}\n")
    with pytest.raises(
        DataError, match=rf"line 2 of .*: label '{number}' is too large for a class number"
    ):
        listed(root / "list.txt")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_in_paths_may_be_stored_in_two_ways(make_images: Make, form: str) -> None:
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    there = unicodedata.normalize(form, "é/ü.png")
    root = make_images(there, "b.png")
    file = root / "list.txt"
    file.write_text(unicodedata.normalize(other, "é/ü.png") + " 1\nb.png 0\n", encoding="utf-8")
    assert open_dataset(DataSpec("mine", "image_list", str(file), {})).ids == (there, "b.png")

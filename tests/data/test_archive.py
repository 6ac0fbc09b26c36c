"""Zips: class folders, identity, damage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ood_core.data import BrokenImageError, open_dataset
from ood_core.data import archive as archive_module
from ood_core.data.image_set import ImageSet
from ood_core.errors import DataError
from ood_core.experiments import DataSpec

Make = Callable[..., Path]
Zip = Callable[..., Path]


def opened(file: Path) -> ImageSet:
    return open_dataset(DataSpec("mine", "zip", str(file)))


@pytest.mark.parametrize("prefix", ["", "images/"])
def test_zip_of_class_folders(make_images: Make, zipped: Zip, prefix: str) -> None:
    root = make_images("cat/1.png", "dog/2.png", "__MACOSX/cat/3.png")
    images = opened(zipped(root, prefix))
    assert images.ids == (f"{prefix}cat/1.png", f"{prefix}dog/2.png")
    np.testing.assert_array_equal(images.labels, [0, 1])
    assert np.asarray(images.load(1))[0, 0, 0] == 1
    assert images.thumbnail(0, 20).size == (20, 16)


def test_zip_identity_is_its_content(make_images: Make, zipped: Zip) -> None:
    root = make_images("a/1.png", "b/2.png")
    file = zipped(root)
    first = opened(file).identity
    os.utime(file, ns=(1, 1))
    assert opened(file).identity == first
    shutil.copy(root / "a" / "1.png", root / "b" / "2.png")
    assert opened(zipped(root)).identity != first


def test_zip_errors(
    make_images: Make, zipped: Zip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.zip").write_text("not a zip")
    with pytest.raises(DataError, match=r"text\.zip: not a zip file, or damaged"):
        opened(tmp_path / "text.zip")
    empty = zipped(make_images(root="empty"))
    with pytest.raises(DataError, match=r"'.*empty\.zip' holds no images"):
        opened(empty)
    with pytest.raises(DataError, match="is a folder, not a file"):
        opened(make_images("1.png"))
    images = opened(zipped(make_images("1.png", root="large")))
    monkeypatch.setattr(archive_module, "MAX_MEMBER_BYTES", 10)
    with pytest.raises(BrokenImageError, match=r"large\.zip/1\.png: \d+ bytes unpacked is too"):
        images.load(0)


def test_a_damaged_member_is_named(make_images: Make, zipped: Zip) -> None:
    file = zipped(make_images("1.png"))
    data = bytearray(file.read_bytes())
    data[60] ^= 255
    file.write_bytes(data)
    with pytest.raises(BrokenImageError, match=r"images\.zip/1\.png: damaged in the archive"):
        opened(file).load(0)

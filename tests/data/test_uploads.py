"""Uploads: each file is an image or a line that says why not; zips are opened."""

from __future__ import annotations

import os
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from ood_core.data import folder_identity, read_folder, read_uploads, thumbnail_bytes
from ood_core.data import uploads as uploads_module
from ood_core.errors import DataError


def png(colour: str) -> bytes:
    out = BytesIO()
    Image.new("RGB", (6, 4), colour).save(out, "PNG")
    return out.getvalue()


def archive(**members: bytes) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


def test_the_good_are_read_and_the_broken_are_named() -> None:
    files = [("a.png", png("red")), ("b.png", b"hello"), ("c.png", b""), ("d.png", png("lime"))]
    found = read_uploads(files)
    assert [u.name for u in found] == ["a.png", "b.png", "c.png", "d.png"]
    assert [u.image is None for u in found] == [False, True, True, False]
    assert found[1].error == "b.png: not an image in a known format; save it as PNG or JPEG."
    assert found[2].error == "c.png: the file is empty (0 bytes)."


def test_a_zip_stands_for_its_images() -> None:
    data = archive(**{"x/a.png": png("red"), "b.png": b"no", "notes.txt": b"hi"})
    found = read_uploads([("my.zip", data), ("c.png", png("blue"))])
    assert [u.name for u in found] == ["my.zip/b.png", "my.zip/x/a.png", "c.png"]
    assert found[0].error == "my.zip/b.png: not an image in a known format; save it as PNG or JPEG."
    assert found[1].image is not None


def test_broken_and_empty_zips() -> None:
    found = read_uploads([("a.zip", b"no zip"), ("b.zip", archive())])
    assert [u.error is not None for u in found] == [True, True]
    assert str(found[0].error).startswith("a.zip: not a zip file")
    assert found[1].error == "b.zip: holds no images."


def test_a_zip_of_too_many_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_module, "MAX_UPLOADED", 2)
    found = read_uploads([("a.zip", archive(**{f"{i}.png": png("red") for i in range(5)}))])
    assert len([u for u in found if u.image]) == 2
    assert "only the first 2 images were read, 3 were not" in str(found[-1].error)


def test_a_folder_is_another_when_an_image_in_it_changes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png("red"))
    (tmp_path / "notes.txt").write_text("hi")
    before = folder_identity(str(tmp_path))
    assert folder_identity(str(tmp_path)) == before
    (tmp_path / "a.png").write_bytes(png("blue"))
    os.utime(tmp_path / "a.png", ns=(1, 1))
    changed = folder_identity(str(tmp_path))
    assert changed != before
    (tmp_path / "b.png").write_bytes(png("red"))
    assert folder_identity(str(tmp_path)) not in (before, changed)


@pytest.mark.parametrize("name", ["none", "a" * 5000, "~no-such-user-here/x", "a\0b"])
def test_no_folder_is_told(name: str) -> None:
    for read in (folder_identity, read_folder):
        with pytest.raises(DataError, match="there is no such folder"):
            read(name)


def test_images_beyond_the_most_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_module, "MAX_UPLOADED", 1)
    (tmp_path / "a.png").write_bytes(png("red"))
    (tmp_path / "b.png").write_bytes(png("red"))
    before = folder_identity(str(tmp_path))
    (tmp_path / "c.png").write_bytes(png("red"))
    assert folder_identity(str(tmp_path)) != before
    assert "only the first 1 images were read, 2 were not" in str(read_folder(str(tmp_path))[-1])


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
@pytest.mark.parametrize(("size", "expected"), [((400, 200), (96, 48)), ((8, 8), (96, 96))])
def test_thumbnail_bytes(format: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    data = thumbnail_bytes(Image.new("L", size, 128), format=format)
    with Image.open(BytesIO(data)) as image:
        assert (image.size, image.format) == (expected, format)
    assert len(data) < 2000


def test_small_images_are_enlarged_without_smoothing() -> None:
    image = Image.new("L", (2, 1), 0)
    image.putpixel((1, 0), 255)
    with Image.open(BytesIO(thumbnail_bytes(image, 32))) as large:
        assert large.histogram()[0] + large.histogram()[255] == 32 * 16


def test_a_one_pixel_wide_strip_keeps_a_pixel() -> None:
    with Image.open(BytesIO(thumbnail_bytes(Image.new("L", (1, 5000)), 96))) as image:
        assert image.size == (1, 96)


def test_no_more_pixels_are_held_than_memory_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads_module, "MAX_PIXELS_HELD", 50)
    files = [(f"{i}.png", png("red")) for i in range(4)]
    for name, data in files:
        (tmp_path / name).write_bytes(data)
    for found in (read_uploads(files), read_folder(str(tmp_path))):
        assert [u.name for u in found if u.image is not None] == ["0.png", "1.png"]
        assert found[2].error is not None
        assert found[2].error.startswith("2.png: this image and those after it were not read")
        assert len(found) == 3
    monkeypatch.setattr(uploads_module, "MAX_PIXELS_HELD", 1)
    assert read_uploads(files[:1])[0].image is not None

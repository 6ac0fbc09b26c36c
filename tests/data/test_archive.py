"""Zips: class folders, identity, damage."""

from __future__ import annotations

import os
import shutil
import stat
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from PIL import Image

from ood_core.data import BrokenImageError, dataset_status, open_dataset, read_uploads
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


# Awkward archives: classes are kept, or the reason is said.


def png(value: int = 0) -> bytes:
    out = BytesIO()
    Image.new("L", (4, 4), value).save(out, "PNG")
    return out.getvalue()


def packed(file: Path, members: list[tuple[str | zipfile.ZipInfo, bytes]], **how: int) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", **how) as archive:  # type: ignore[call-overload]
        warnings.simplefilter("ignore")  # of a name that is there twice
        for number, (name, data) in enumerate(members):
            archive.writestr(name, data or png(number))
    return file


def renamed(file: Path, old: bytes, new: bytes) -> Path:
    """Other bytes for a name, in both places where an archive has it."""
    data = file.read_bytes()
    assert len(old) == len(new)
    assert data.count(old) >= 2
    file.write_bytes(data.replace(old, new))
    return file


def labelled(file: Path, **options: object) -> dict[str, str]:
    images = open_dataset(DataSpec("mine", "zip", str(file), options))
    assert images.labels is not None
    assert images.class_names is not None
    for index in range(len(images)):
        images.load(index)
    return {i: images.class_names[c] for i, c in zip(images.ids, images.labels, strict=True)}


@pytest.mark.parametrize(
    "names",
    [
        ["cat\\1.png", "dog\\2.png"],
        ["./cat/1.png", "./dog/2.png"],
        ["/cat/1.png", "/dog/2.png"],
        ["C:/cat/1.png", "C:/dog/2.png"],
        ["C:\\cat\\1.png", "C:\\dog\\2.png"],
        ["../cat/1.png", "../../dog/2.png"],
        ["x/../cat/1.png", "dog//2.png"],
        ["cat\\1.png", "dog/2.png"],
    ],
)
def test_names_are_what_they_would_be_unpacked_to(tmp_path: Path, names: list[str]) -> None:
    file = packed(tmp_path / "a.zip", [(name, b"") for name in names])
    assert labelled(file) == {"cat/1.png": "cat", "dog/2.png": "dog"}
    uploads = read_uploads([("a.zip", file.read_bytes())])
    assert [u.name for u in uploads] == ["a.zip/cat/1.png", "a.zip/dog/2.png"]


def test_of_two_members_of_one_path_the_last_counts(tmp_path: Path) -> None:
    members = [("cat/1.png", png(1)), ("dog/2.png", png(2)), ("./cat/1.png", png(3))]
    images = opened(packed(tmp_path / "a.zip", members))
    assert images.ids == ("cat/1.png", "dog/2.png")
    assert np.asarray(images.load(0))[0, 0] == 3
    (out,) = images.left_out
    assert str(out) == "cat/1.png: left out (earlier member of the same path)."


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("katze-ä/1.png".encode(), "katze-ä/1.png"),  # UTF-8 without the flag
        ("katze-ä/1.png".encode("cp437"), "katze-ä/1.png"),
        ("katze-ä\\1.png".encode("cp437"), "katze-ä/1.png"),
        ("表/1.png".encode("cp932"), "表/1.png".encode("cp932").decode("cp437")),
        ("十/能.png".encode("cp932"), "十/能.png".encode("cp932").decode("cp437")),
    ],
)
def test_names_without_the_utf8_flag_keep_their_classes(
    tmp_path: Path, raw: bytes, path: str
) -> None:
    stand_in = b"q" * (len(raw) - 4) + b".png"
    file = packed(tmp_path / "a.zip", [(stand_in.decode(), b""), ("dog/2.png", b"")])
    found = labelled(renamed(file, stand_in, raw))
    assert found == {"dog/2.png": "dog", path: path.split("/")[0]}


def test_a_name_that_is_not_what_it_is_marked_as_is_no_traceback(tmp_path: Path) -> None:
    file = packed(tmp_path / "a.zip", [("é/1.png", b""), ("dog/2.png", b"")])
    with pytest.raises(DataError, match=r"a\.zip: the zip file is damaged \('utf-8' codec"):
        opened(renamed(file, "é/1.png".encode(), b"\xff\xff/1.png"))


def test_encrypted_members_are_named(tmp_path: Path) -> None:
    file = packed(tmp_path / "a.zip", [("cat/1.png", b"")])
    data = bytearray(file.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    file.write_bytes(data)
    with pytest.raises(BrokenImageError, match=r"a\.zip/cat/1\.png: the archive is encrypted"):
        opened(file).load(0)
    (upload,) = read_uploads([("a.zip", bytes(data))])
    assert "is encrypted; unpack it first" in str(upload.error)


def test_what_is_beside_the_images_is_left_out_by_the_rules_of_folders(tmp_path: Path) -> None:
    pipe = zipfile.ZipInfo("cat/pipe.png")
    pipe.external_attr = (stat.S_IFIFO | 0o644) << 16
    link = zipfile.ZipInfo("cat/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    names = [
        "cat/1.png", "dog/2.JFIF", "__MACOSX/cat/._1.png", "cat/.DS_Store", "cat/Thumbs.db",
        ".ipynb_checkpoints/1.png", "more.zip", "cat/a.heic", "notes.txt",
    ]  # fmt: skip
    members: list[tuple[str | zipfile.ZipInfo, bytes]] = [(name, b"") for name in names]
    images = opened(packed(tmp_path / "a.zip", [*members, (pipe, b"x"), (link, b"1.png")]))
    assert images.ids == ("cat/1.png", "dog/2.JFIF")
    assert {out.path: out.reason for out in images.left_out} == {
        "__MACOSX/cat/._1.png": "hidden",
        "cat/.DS_Store": "hidden",
        "cat/Thumbs.db": "hidden",
        ".ipynb_checkpoints/1.png": "hidden",
        "more.zip": "archive, which is not looked into",
        "notes.txt": "not an image by name",
        "cat/a.heic": "in a format that the installed Pillow does not read",
        "cat/link.png": "symbolic link, not a file",
        "cat/pipe.png": "FIFO, not a file",
    }
    assert dataset_status(DataSpec("x", "zip", str(tmp_path / "a.zip"))).message.startswith(
        "2 images. Left out: "
    )


def test_a_zip_of_zips_says_so(tmp_path: Path) -> None:
    file = packed(tmp_path / "a.zip", [("one.zip", b"PK"), ("two.tar.gz", b"x")])
    said = r"holds no images\. Left out: 2 archive, which is not looked into \(one\.zip, two\.tar"
    with pytest.raises(DataError, match=said):
        opened(file)
    found = [str(u.error) for u in read_uploads([("a.zip", file.read_bytes()), ("b.tgz", b"x")])]
    assert found[0].startswith("a.zip: holds no images. Left out: 2 archive, which is not")
    assert found[1] == "a.zip/one.zip: left out (archive, which is not looked into)."
    assert found[3] == "b.tgz: of archives only .zip is read; pack it as one."


@pytest.mark.parametrize(
    ("names", "options", "classes"),
    [
        (["top/cat/1.png", "top/dog/2.png"], {}, ["cat", "dog"]),
        (["a/b/cat/1.png", "a/b/dog/2.png"], {"role": "fit"}, ["cat", "dog"]),
        (["a/b/cat/1.png", "a/b/cat/2.png"], {"class_names": ("cat", "dog")}, ["cat", "cat"]),
        (["top/cat/x/1.png", "top/cat/y/2.png"], {"class_names": ("cat", "dog")}, ["cat", "cat"]),
        (["cat/x/1.png", "cat/y/2.png"], {"class_names": ("cat", "dog")}, ["cat", "cat"]),
        (["a/b/c/1.png", "a/b/d/2.png"], {}, ["b", "b"]),  # a test set may hold one class only
    ],
)
def test_folders_around_everything_are_no_classes(
    tmp_path: Path, names: list[str], options: dict[str, object], classes: list[str]
) -> None:
    file = packed(tmp_path / "a.zip", [(name, b"") for name in [*names, "top.txt"]])
    assert list(labelled(file, **options).values()) == classes


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_archive(tmp_path: Path, share: float) -> None:
    file = packed(tmp_path / "a.zip", [(f"cat/{i}.png", b"") for i in range(20)])
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(DataError, match=r"a\.zip: not a zip file, or damaged"):
        opened(file)


def test_flipped_bytes_in_an_archive_never_raise_anything_else(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.zip", [(f"cat/{i}.png", b"") for i in range(4)]).read_bytes()
    rng = np.random.default_rng(0)
    for number in range(300):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, len(data), 4)] = rng.integers(0, 256, 4)
        file = tmp_path / f"{number}.zip"
        file.write_bytes(data.tobytes())
        with suppress(DataError):
            images = opened(file)
            assert images.identity
            for index in range(len(images)):
                with suppress(BrokenImageError):
                    images.load(index)
        read_uploads([("a.zip", data.tobytes())])


def test_zip64(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for number, name in enumerate(("cat/1.png", "dog/2.png")):
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(png(number))
    assert labelled(file) == {"cat/1.png": "cat", "dog/2.png": "dog"}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_of_compression(tmp_path: Path, method: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    images = opened(packed(tmp_path / "a.zip", [("1.png", out.getvalue())], compression=method))
    np.testing.assert_array_equal(np.asarray(images.load(0)), noise)


def test_a_method_that_python_lacks(tmp_path: Path) -> None:
    file = packed(tmp_path / "a.zip", [("cat/1.png", b"")])
    data = bytearray(file.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(mark) + offset] = 9
    file.write_bytes(data)
    with pytest.raises(BrokenImageError, match=r"1\.png: packed in a way that cannot be read here"):
        opened(file).load(0)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_more_is_unpacked_than_is_declared(tmp_path: Path, method: int) -> None:
    size = 200_000_000
    file = packed(tmp_path / "a.zip", [("1.png", b"\0" * size)], compression=method)
    small = pack("<L", size), pack("<L", 1000)
    file.write_bytes(file.read_bytes().replace(*small))
    images = opened(file)
    tracemalloc.start()
    with pytest.raises(BrokenImageError, match=r"1\.png: damaged in the archive"):
        images.load(0)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < (1_000_000 if method == zipfile.ZIP_DEFLATED else 150_000_000)


def test_an_archive_that_changed_under_the_set(tmp_path: Path) -> None:
    file = packed(tmp_path / "a.zip", [("cat/1.png", b""), ("dog/2.png", b"")])
    images = opened(file)
    packed(file, [("dog/2.png", b"")])
    for use in (lambda: images.identity, lambda: images.load(0)):
        with pytest.raises(BrokenImageError, match=r"a\.zip/cat/1\.png: no longer in the archive"):
            use()


def test_the_unicode_path_field_names_a_member(tmp_path: Path) -> None:
    """As WinZip writes it: the stored name has lost its letters."""

    def member(stored: str, real: bytes, of: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(stored)
        field = b"\1" + pack("<I", zlib.crc32(of.encode())) + real
        info.extra = pack("<HH", 0x5455, 1) + b"\0" + pack("<HH", 0x7075, len(field)) + field
        return info

    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for info in (
            member("?/1.png", "猫/1.png".encode(), "?/1.png"),
            member("caf_/2.png", "café\\2.png".encode(), "caf_/2.png"),
            member("b/3.png", b"other/3.png", "renamed since"),
            member("b/4.png", b"\xff/4.png", "b/4.png"),
        ):
            archive.writestr(info, b"x")
    assert opened(file).ids == ("b/3.png", "b/4.png", "café/2.png", "猫/1.png")

"""One listing of a folder for every caller: what counts, and what is left out with its reason."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ood_core.commands import score as score_command
from ood_core.commands._terminal import Terminal
from ood_core.data import (
    BrokenImageError,
    dataset_status,
    decode_image,
    folder_identity,
    open_dataset,
    read_folder,
)
from ood_core.errors import ConfigError, DataError
from ood_core.experiments import DataSpec
from ood_core.experiments.listing import (
    LeftOut,
    class_folders,
    holds_image,
    left_out_text,
    list_folder,
)
from ood_core.experiments.sources import image_suffixes, is_image_name
from ood_core.wizard import survey

Make = Callable[..., Path]


def reasons(root: Path) -> dict[str, str]:
    return {out.path: out.reason for out in list_folder(root).left_out}


def lost(root: Path) -> set[str]:
    return {out.path for out in list_folder(root).left_out if out.lost}


def by_every_caller(root: Path) -> list[set[str]]:
    """Images of the folder as a data set, an upload, `score FOLDER` and a status see them."""
    scored = score_command._files([root], Terminal())[0]
    return [
        set(open_dataset(DataSpec("x", "folder", str(root), {"role": "ood"})).ids),
        {u.name for u in read_folder(str(root)) if u.image is not None},
        {str(path.relative_to(root)) for path in scored},
    ]


def writable_suffixes() -> list[str]:
    """Suffixes that Pillow can both write and read."""
    Image.init()
    known = Image.registered_extensions()
    return sorted(s for s in image_suffixes() if known[s] in Image.SAVE and known[s] != "SPIDER")


@pytest.mark.filterwarnings("ignore:IM image format is deprecated")
@pytest.mark.parametrize("suffix", writable_suffixes())
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_what_pillow_reads_as_a_file_counts_in_a_folder(
    tmp_path: Path, suffix: str, case: Callable[[str], str]
) -> None:
    name = f"a{case(suffix)}"
    picture = Image.new("RGB", (64, 64), "red")
    for mode in ("RGB", "L", "1", "P", "F"):
        try:
            picture.convert(mode).save(tmp_path / name, Image.registered_extensions()[suffix])
            break
        except (OSError, ValueError, KeyError):
            continue
    decode_image(tmp_path / name)
    for found in by_every_caller(tmp_path):
        assert found == {name}


def test_a_format_that_pillow_only_recognises_is_no_image() -> None:
    for name in ("a.h5", "a.eps", "a.mpg", "a.pdf", "a", "png", "a.png.txt"):
        assert not is_image_name(name)


def test_the_same_images_for_every_caller(make_images: Make, tmp_path: Path) -> None:
    outside = make_images("far/1.png", root="outside")
    root = make_images(
        "a/1.png", "a/.2.png", "a/._1.png", ".ipynb_checkpoints/1-checkpoint.png",
        "__MACOSX/a/1.png", "b/deep/er/3.JPG", "@eaDir/1.png",
    )  # fmt: skip
    for clutter in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (root / "a" / clutter).write_bytes(b"x")
    (root / "a" / "notes.txt").write_text("x")
    (root / "link").symlink_to(outside / "far")
    (root / "b" / "same.png").symlink_to(root / "a" / "1.png")
    (root / "b" / "gone.png").symlink_to(root / "nothing.png")
    (root / "b" / "loop.png").symlink_to(root / "b" / "loop.png")
    (root / "b" / "up").symlink_to(root)
    os.mkfifo(root / "b" / "pipe.png")
    (root / "empty" / "er").mkdir(parents=True)
    counted = {"a/1.png", "b/deep/er/3.JPG", "b/same.png", "link/1.png"}
    for found in by_every_caller(root):
        assert found == counted
    assert class_folders(root) == ("a", "b", "empty", "link")
    assert lost(root) == {"b/gone.png", "b/loop.png", "b/pipe.png"}
    assert reasons(root) == {
        ".ipynb_checkpoints/": "hidden",
        "@eaDir/": "hidden",
        "__MACOSX/": "hidden",
        "a/.2.png": "hidden",
        "a/._1.png": "hidden",
        "a/.DS_Store": "hidden",
        "a/Thumbs.db": "hidden",
        "a/desktop.ini": "hidden",
        "a/notes.txt": "not an image by name",
        "b/gone.png": "link to nothing",
        "b/loop.png": "link to nothing",
        "b/pipe.png": "FIFO, not a file",
        "b/up/": "link back to a folder above",
        "empty/": "folder without images",
    }
    status = dataset_status(DataSpec("x", "folder", str(root)))
    assert status.message.startswith("4 images. Left out: 2 link to nothing (b/gone.png, b/loop.p")
    assert "1 not an image by name (a/notes.txt)" in status.message
    errors = [u.error for u in read_folder(str(root)) if u.error]
    assert errors[0] == f"{root}/b/gone.png: left out (link to nothing)."
    assert len(errors) == 3


def test_a_fifo_socket_or_device_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "sock.png"))
    (tmp_path / "null.png").symlink_to("/dev/zero")
    (tmp_path / "link.png").symlink_to(tmp_path / "pipe.png")
    for name, what in [("pipe", "FIFO"), ("sock", "socket"), ("null", "device"), ("link", "FIFO")]:
        with pytest.raises(BrokenImageError, match=rf"{name}\.png: cannot be read \(a {what}, not"):
            decode_image(tmp_path / f"{name}.png")
    server.close()
    with pytest.raises(DataError, match=r"holds no images\. Left out: .*1 socket, not a file"):
        open_dataset(DataSpec("x", "folder", str(tmp_path)))
    with pytest.raises(DataError, match=r"holds no images \(.*Left out: .*socket, not a file"):
        read_folder(str(tmp_path))
    with pytest.raises(ConfigError, match=r"holds no images\. Left out: .*socket, not a file"):
        score_command._files([tmp_path], Terminal())
    assert not holds_image(tmp_path)


@pytest.mark.parametrize("kind", ["zip", "image_list", "manifest"])
def test_a_fifo_as_an_archive_or_a_list(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "set")
    with pytest.raises(DataError, match=r"set' is a FIFO, not a file\."):
        open_dataset(DataSpec("x", kind, str(tmp_path / "set")))


def test_a_fifo_named_by_a_list(make_images: Make) -> None:
    root = make_images("1.png")
    os.mkfifo(root / "2.png")
    (root / "list.txt").write_text("1.png 0\n2.png 1\n")
    images = open_dataset(DataSpec("x", "image_list", str(root / "list.txt")))
    with pytest.raises(BrokenImageError, match=r"2\.png: cannot be read \(a FIFO, not a file\)"):
        images.load(1)


def test_links_between_two_folders_end(make_images: Make) -> None:
    root = make_images("a/1.png", "b/2.png")
    (root / "a" / "other").symlink_to(root / "b")
    (root / "b" / "other").symlink_to(root / "a")
    assert list_folder(root).images == ("a/1.png", "a/other/2.png", "b/2.png", "b/other/1.png")
    assert reasons(root) == dict.fromkeys(
        ("a/other/other/", "b/other/other/"), "link back to a folder above"
    )


def test_folders_that_all_link_to_each_other_are_refused_soon(make_images: Make) -> None:
    root = make_images(*(f"{i}/a.png" for i in range(9)))
    for here in range(9):
        for there in range(9):
            if here != there:
                (root / str(here) / str(there)).symlink_to(root / str(there))
    with pytest.raises(DataError, match=r"images': links between its folders lead through them in"):
        list_folder(root)


def test_a_link_that_led_to_a_folder_is_missed(make_images: Make, tmp_path: Path) -> None:
    root = make_images("cat/1.png")
    (root / "dog").symlink_to(tmp_path / "moved away")
    (root / "readme.txt").symlink_to(tmp_path / "moved away")
    assert lost(root) == {"dog"}


def test_a_link_to_a_folder_above_the_root_is_not_followed(make_images: Make) -> None:
    root = make_images("in/1.png", "beside/2.png")
    (root / "in" / "up").symlink_to(root)
    assert list_folder(root / "in").images == ("1.png",)


def test_a_link_beside_leads_round_through_a_folder_inside(make_images: Make) -> None:
    root = make_images("a/x/1.png", "b/sub/2.png")
    (root / "a" / "x" / "go").symlink_to(root / "b")
    (root / "b" / "sub" / "go").symlink_to(root / "a")
    assert len(list_folder(root).images) == 4


def test_folders_that_cannot_be_read_are_named_and_the_rest_is_read(
    make_images: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_images("a/1.png", "b/2.png", "c/3.png")
    scan = os.scandir

    def refusing(path: str) -> object:
        if os.path.basename(path) == "b":
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr("ood_core.experiments.listing.os.scandir", refusing)
    assert list_folder(root).images == ("a/1.png", "c/3.png")
    assert lost(root) == {"b/"}
    text = left_out_text(list_folder(root).left_out)
    assert text == "Left out: 1 folder that cannot be read (Permission denied) (b/)."


def test_nesting_deeper_than_paths_may_be(make_images: Make) -> None:
    root, here = make_images("a/1.png"), os.getcwd()
    os.chdir(root)
    try:
        for _ in range(25):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        (Path("x.png")).write_bytes(b"x")
    finally:
        os.chdir(here)
    assert list_folder(root).images == ("a/1.png",)
    assert [out.reason for out in list_folder(root).left_out if out.lost] == [
        "folder that cannot be read (File name too long)"
    ]


def test_awkward_names_are_read_and_shown_on_one_line(
    make_images: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_images("new\nline.png", "tab\t.png", "caf\u00e9.png", "cafe\u0301.png")
    (root / os.fsdecode(b"latin\xe9.png")).write_bytes(b"no image")
    (root / os.fsdecode(b"latin\xe9.txt")).write_bytes(b"no image")
    images = open_dataset(DataSpec("x", "folder", str(root)))
    assert len(images) == 5
    assert len(set(images.ids)) == 5
    assert images.identity
    with pytest.raises(BrokenImageError, match=r"latin\\xe9\.png: not an image") as caught:
        images.load(images.ids.index(os.fsdecode(b"latin\xe9.png")))
    str(caught.value).encode()
    uploads = read_folder(str(root))
    assert {u.name for u in uploads} >= {"new\\nline.png", "tab\\t.png", "latin\\xe9.png"}
    "".join(f"{u.name}{u.error}" for u in uploads).encode()
    status = dataset_status(DataSpec("x", "folder", str(root)))
    assert "(latin\\xe9.txt)" in status.message
    files, _ = score_command._files([root], Terminal())
    with Terminal() as terminal:
        for path in files:
            terminal.out(str(path))
            terminal.record({"path": str(path)})
    assert "latin\\udce9.png" in capsys.readouterr().out


def test_a_photograph_in_a_format_that_pillow_lacks_is_missed_aloud(make_images: Make) -> None:
    root = make_images("a/1.png")
    (root / "a" / "IMG_1.HEIC").write_bytes(b"x")
    (root / "a" / "set.zip").write_bytes(b"x")
    assert lost(root) == {"a/IMG_1.HEIC"}
    assert reasons(root)["a/set.zip"] == "archive, which is not looked into"
    files, records = score_command._files([root], Terminal())
    assert len(files) == 1
    assert records[0]["path"] == str(root / "a" / "IMG_1.HEIC")
    assert "left out (in a format that the installed Pillow does not read)" in str(
        records[0]["error"]
    )


def test_what_is_left_out_makes_an_upload_folder_another(make_images: Make) -> None:
    root = make_images("a/1.png")
    before = folder_identity(str(root))
    os.mkfifo(root / "a" / "pipe.png")
    assert folder_identity(str(root)) != before


def test_the_wizard_sees_the_same_folders(make_images: Make) -> None:
    root = make_images(
        "in/train/a/1.png", "in/train/b/1.png", "in/test/a/1.png", "__MACOSX/x/1.png",
        "other/1.jfif",
    )  # fmt: skip
    os.mkfifo(root / "pipe.png")
    found = survey(root)
    assert [Path(s.source).name for s in found.others] == ["other"]
    assert len(found.pairs) == 1


def test_many_of_a_kind_are_counted_and_few_are_named() -> None:
    left_out = [LeftOut(f"{i}.txt", "not an image by name") for i in range(1234)]
    text = left_out_text([*left_out, LeftOut("a.png", "link to nothing", lost=True)])
    assert text == (
        "Left out: 1 link to nothing (a.png), 1,234 not an image by name (0.txt, 1.txt, 2.txt, …)."
    )
    assert left_out_text([]) == ""


def test_a_large_folder_is_listed_quickly(tmp_path: Path) -> None:
    for i in range(5_000):
        (tmp_path / f"{i}.png").touch()
    start = time.perf_counter()
    assert len(list_folder(tmp_path).images) == 5_000
    assert time.perf_counter() - start < 2

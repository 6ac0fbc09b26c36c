"""Dialects of image lists and tables: each is read as meant, or refused with what is wrong."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ood_core.data import open_dataset
from ood_core.data.image_set import ImageSet
from ood_core.errors import DataError
from ood_core.experiments import DataSpec

Make = Callable[..., Path]
TWO = ("a b.png", "c.png")


def listed(file: Path, kind: str = "image_list", **options: object) -> ImageSet:
    return open_dataset(DataSpec("mine", kind, str(file), options))


def written(root: Path, content: str | bytes, name: str = "list.txt") -> Path:
    file = root / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


@pytest.mark.parametrize(
    "text",
    [
        "a b.png 3\nc.png 0\n",
        "a b.png\t3\nc.png\t0\n",
        "a b.png  \t 3\nc.png \t\t0\n",
        "a b.png,3\nc.png,0\n",
        "a b.png, 3\nc.png , 0\n",
        "a b.png;3\nc.png; 0\n",
        '"a b.png" 3\n"c.png" 0\n',
        '"a b.png",3\n"c.png","0"\n',
        "'a b.png'\t3\n'c.png'\t0\n",
        "a b.png 3\r\nc.png 0\r\n",
        "a b.png 3\rc.png 0\r",
        "\ufeffa b.png 3\n\ufeffc.png 0\n",
        "\n# a comment\n  \na b.png 3\n   # another\n\nc.png 0",
        "path label\na b.png 3\nc.png 0\n",
        "path,label\na b.png,3\nc.png,0\n",
        "path,size,label\na b.png,20,3\nc.png,20,0\n",
        "sep=;\npath;label\na b.png;3\nc.png;0\n",
        "./a b.png 3\n.//c.png 0\n",
    ],
)
@pytest.mark.parametrize("kind", ["image_list", "manifest"])
def test_separators_quotes_line_ends_comments_and_headers(
    make_images: Make, kind: str, text: str
) -> None:
    root = make_images(*TWO)
    images = listed(written(root, text), kind, num_classes=4)
    assert [i.removeprefix("./").removeprefix("/") for i in images.ids] == list(TWO)
    np.testing.assert_array_equal(images.labels, [3, 0])
    assert np.asarray(images.load(1))[0, 0, 0] == 1


@pytest.mark.parametrize("header", ["filename;class", "image\ttarget", "Image,Label", "file_name"])
def test_a_list_may_have_a_header_of_other_words(make_images: Make, header: str) -> None:
    root = make_images(*TWO)
    images = listed(written(root, f"{header}\na b.png;3\nc.png;0\n"))
    assert images.ids == TWO


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "path;label\na b.png;3\nc.png;0\n"),
        ("t.csv", "path\tlabel\na b.png\t3\nc.png\t0\n"),
        ("t.tsv", "path,label\na b.png,3\nc.png,0\n"),
        ("t.tab", "path\tlabel\r\na b.png\t3\r\nc.png\t0\r\n"),
        ("t.csv", "path,label\ra b.png,3\rc.png,0\r"),
        ("t.csv", '\ufeff"path", "label"\n"a b.png", "3"\n"c.png", "0"\n'),
        ("t.csv", "# made by hand\n\npath,label\na b.png,3\n\nc.png,0\n,\n"),
        ("t.csv", 'path,note,label\na b.png,"two\nlines, and a comma",3\nc.png,,0\n'),
        ("t.csv", "a b.png,3\nc.png,0\n"),
        ("t.csv", "note,label,note,path\nx,3,y,a b.png\nx,0,y,c.png\n"),
        ("t.jsonl", '{"path": "a b.png", "label": 3}\n\n{"label": 0, "path": "c.png"}\n'),
        ("t.json", '[{"path": "a b.png", "label": 3}, {"path": "c.png", "label": 0}]'),
        ("t.json", '{"path": ["a b.png", "c.png"], "label": [3, 0]}'),
        ("t.json", '{"path": {"0": "a b.png", "1": "c.png"}, "label": {"0": 3, "1": 0}}'),
        ("t.json", '{"a b.png": 3, "c.png": 0}'),
        ("t.json", '[["a b.png", 3], ["c.png", 0]]'),
        ("t.txt", '{"path": "a b.png", "label": 3}\n{"path": "c.png", "label": 0}\n'),
    ],
)
@pytest.mark.parametrize("kind", ["image_list", "manifest"])
def test_tables_of_any_separator_and_json(
    make_images: Make, kind: str, name: str, text: str
) -> None:
    images = listed(written(make_images(*TWO), text, name), kind, num_classes=4)
    assert images.ids == TWO
    np.testing.assert_array_equal(images.labels, [3, 0])


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_encodings(make_images: Make, encoding: str, ends: str) -> None:
    root = make_images("grün.png", "c.png")
    mark = "\ufeff" if encoding[-3:] in ("-le", "-be") else ""
    text = f"{mark}grün.png 3{ends}c.png 0{ends}"
    images = listed(written(root, text.encode(encoding)), num_classes=4)
    assert images.ids == ("grün.png", "c.png")
    np.testing.assert_array_equal(images.labels, [3, 0])


@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip"])
def test_compressed_lists_are_read(make_images: Make, name: str, kind: str) -> None:
    root = make_images(*TWO)
    text = b"path,label\na b.png,3\nc.png,0\n"
    file = root / f"{name}.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("__MACOSX/._list", b"\0")
            archive.writestr(name, text)
    else:
        file.write_bytes({"gz": gzip, "bz2": bz2, "xz": lzma}[kind].compress(text))
    images = listed(file, "manifest" if name.endswith("csv") else "image_list")
    assert images.ids == TWO
    np.testing.assert_array_equal(images.labels, [3, 0])


def test_an_archive_of_several_files_is_no_list(make_images: Make) -> None:
    file = make_images(*TWO) / "list.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a b.png 3\n")
        archive.writestr("b.txt", "c.png 0\n")
    with pytest.raises(DataError, match=r"holds 2 files .*a\.txt, b\.txt.*unpack"):
        listed(file)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip"])
def test_a_compressed_list_that_is_cut_short(make_images: Make, kind: str) -> None:
    magic = {"gz": b"\x1f\x8b\x08", "bz2": b"BZh9", "xz": b"\xfd7zXZ\0", "zip": b"PK\x03\x04"}
    with pytest.raises(DataError, match=r"cannot be unpacked|not a zip file"):
        listed(written(make_images(), magic[kind] + b"\0\0", f"list.txt.{kind}"))


@pytest.mark.parametrize("name", ["a\u2028b.png", "a\x85b.png", "a\x0cb.png", "a\x1cb\x0b.png"])
@pytest.mark.parametrize("kind", ["image_list", "manifest", "json"])
def test_only_line_ends_end_a_line(make_images: Make, name: str, kind: str) -> None:
    root = make_images(name, "c.png")
    if kind == "json":
        rows = [json.dumps({"path": p, "label": 1}, ensure_ascii=False) for p in (name, "c.png")]
        images = listed(written(root, "\n".join(rows), "t.jsonl"), "manifest")
    else:
        head = "path,label\n" if kind == "manifest" else ""
        images = listed(written(root, f"{head}{name},1\nc.png,0\n"), kind)
    assert images.ids == (name, "c.png")


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1", 1), ("1.0", 1), ("1.00", 1), ("1.", 1), (" 1 ", 1), ("+1", 1), ("01", 1),
        ("1e0", 1), ("1E+00", 1), ("10e-1", 1), ("-1", -1), ("-1.0", -1), ("0", 0), ("-0", 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["list", "comma", "table", "json"])
def test_spellings_of_a_number(make_images: Make, form: str, cell: str, number: int) -> None:
    root = make_images("a.png", "b.png")
    text = {
        "list": f"a.png {cell}\nb.png 2\n",
        "comma": f"a.png,{cell}\nb.png,2\n",
        "table": f"path,label\na.png,{cell}\nb.png,2\n",
        "json": f'[["a.png", "{cell}"], ["b.png", 2.0]]',
    }[form]
    name = "t.json" if form == "json" else "t.csv"
    images = listed(written(root, text, name), num_classes=3)
    np.testing.assert_array_equal(images.labels, [number, 2])
    assert images.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a.png golden retriever\nb.png cat\n", [1, 0]),
        ('a.png "golden retriever"\nb.png "cat"\n', [1, 0]),
        ("a.png\tgolden retriever\nb.png\tcat\n", [1, 0]),
        ('a.png,"golden retriever"\nb.png,cat\n', [1, 0]),
        ("a.png golden retriever\nb.png -1\n", [1, -1]),
        ("a.png,golden retriever\nb.png,\n", [1, -1]),
        ("path,label\na.png,golden retriever\nb.png,nan\n", [1, -1]),
        ("path,label\na.png,golden retriever\nb.png,NaN\n", [1, -1]),
        ("a.png golden retriever\nb.png 0\n", [1, 0]),
    ],
)
def test_class_names_as_labels(make_images: Make, text: str, labels: list[int]) -> None:
    names = ("cat", "golden retriever")
    images = listed(written(make_images("a.png", "b.png"), text), class_names=names)
    np.testing.assert_array_equal(images.labels, labels)


def test_a_class_called_like_a_number_keeps_its_name(make_images: Make) -> None:
    file = written(make_images("a.png", "b.png"), "a.png 1e3\nb.png 7b2\n")
    images = listed(file, class_names=("7b2", "1e3"))
    np.testing.assert_array_equal(images.labels, [1, 0])


def test_a_class_name_that_ends_in_a_year_or_a_file_name_that_ends_in_a_copys_number(
    make_images: Make,
) -> None:
    root = make_images("a.jpg (1)/x.png", "b.png", "c.png")
    (root / "a.jpg (1)/x.png").rename(root / "d.png (1)")
    images = listed(written(root, "b.png Acura TL 2001\nc.png Audi 100 1994\n"))
    assert images.ids == ("b.png", "c.png")
    assert images.class_names == ("Acura TL 2001", "Audi 100 1994")
    images = listed(written(root, "d.png (1) 1\nc.png 0\n"))
    assert images.ids == ("d.png (1)", "c.png")
    np.testing.assert_array_equal(images.labels, [1, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png 0\nb.png cat\n", r"mixes class numbers \(0\) and names \(cat\)"),
        ("a.png 0.5\nb.png 1\n", r"line 1 of '.*': label '0\.5' is no whole number"),
        ("a.png 1e99\nb.png 1\n", r"line 1 of '.*': label '1e99' is too large for a class number"),
        ("a.png 99999999999999999999\nb.png 1\n", "is too large for a class number"),
        ("a.png 1 0 0\nb.png 0 1 0\n", r"line 1 of '.*' has more than a path and a label"),
        ("a.png 1,2\nb.png 0\n", r"line 1 of '.*' has more than a path and a label"),
        ("a.png,1,train\nb.png,0,test\n", r"more than a path and a label.*manifest"),
        ("a.png\t1\ttrain\nb.png\t0\ttest\n", r"more than a path and a label"),
        ("a.png 1 # a cat\nb.png 0\n", r"more than a path and a label"),
        ("label,image\n1,a.png\n0,b.png\n", r"line 1 of '.*' .*manifest.*path_column"),
        ("a.png 0\n" + "x" * 5000 + ".png 1\n", r"line 2 of '.*'.*5,00\d characters"),
        (b"a.png 0\nb\0.png 1\n", r"line 2 of '.*' holds a NUL byte"),
        ("a.png 0\nb.png 1\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (b"\xff\xd8\xff\xe0\x01\x02\x03", "is not text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is not text"),
        (b"PAR1\x15\x04PAR1", r"is not a Parquet file|manifest"),
        ("https://host/a.png 0\nhttps://host/b.png 1\n", r"'https://host/a\.png' is an address"),
        ("s3://bucket/a.png 0\n", "is an address.*Download"),
        ("file://server/share/a.png 0\n", "'file://server/share/a.png'.*another machine"),
        ("C:\\data\\a.png 0\nC:\\data\\b.png 1\n", r"none of the images.*C:.*drive.*root"),
        ('[{"image_id": 3}]', r"has no column 'path'. Available: image_id"),
        ('{"images": [{"file_name": "a.png"}], "annotations": []}', r"has no column 'path'"),
        ('{"a.png": 1, "a.png": 2}', r"names 'a\.png' twice"),
        ('[{"path": "a.png"', r"is not JSON \(line 1"),
        ('{"path": "a.png"}\n{"path": \n', r"is not JSON \(line 2"),
        ('[["' + "[" * 100_000, r"is not JSON"),
        ("[[" * 100_000, "is nested too deep"),
        ('[["a.png", 1' + "0" * 5000 + "]]", r"is not JSON \(line 1: Exceeds the limit"),
        ('[{"path": "a.png", "label": [1, 2]}]', r"row 1 of '.*': label \[1, 2\]"),
        ('[{"path": "\\ud800.png"}]', r"row 1 of '.*'.*cannot be the name of a file"),
        ('[{"path": "a\\u0000.png"}]', r"row 1 of '.*'.*cannot be the name of a file"),
        ('[{"path": "a.png"}, 3]', r"row 2 of '.*'"),
    ],
)
def test_what_is_refused(make_images: Make, text: str | bytes, message: str) -> None:
    root = make_images("a.png", "b.png")
    with pytest.raises(DataError, match=message) as caught:
        listed(written(root, text))
    assert len(str(caught.value)) < 1000
    assert str(caught.value).count("data set 'mine'") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,label\na.png,1,2\n", r"has 2 columns called 'label'"),
        ("path,path\na.png,b.png\n", r"has 2 columns called 'path'"),
        ("path,label\na.png\n", r"line 2 of '.*' has 1 cell, the header has 2"),
        ('path,label\na.png,"1\nb.png,2\n', r"line \d of '.*' is not a table \("),
        ("file,label\na.png,1\n", r"has no column 'path'\. Available: file, label\."),
        ("3,5\n4,6\n", "has no column 'path'"),
        ("path,label\na.png,1\n,2\n", r"line 3 of '.*' has an empty 'path'"),
    ],
)
def test_tables_that_are_refused(make_images: Make, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        listed(written(make_images("a.png", "b.png"), text, "t.csv"), "manifest")


def test_labels_of_an_ood_set_may_be_anything(make_images: Make) -> None:
    file = written(make_images("a.png", "b.png"), "a.png 0.5\nb.png cat\na.png 7\n")
    images = listed(file, role="ood")
    assert images.ids == ("a.png", "b.png")
    assert images.labels is None


def test_lists_of_which_the_first_images_are_gone(make_images: Make) -> None:
    root = make_images("there/1.png", "there/2.png")
    gone = [f"gone/{i}.png" for i in range(5000)]
    for paths in ([*gone, "there/1.png"], ["there/1.png", *gone], [*gone, "there/2.png", *gone]):
        text = "".join(f"{p} 0\n" for p in dict.fromkeys(paths))
        images = listed(written(root, text))
        assert len(images) == 5001
        assert images.root == root


def test_the_place_that_has_most_of_the_images_is_the_root(make_images: Make) -> None:
    base = make_images(*(f"images_classic/x/{i}.png" for i in range(5)), root="openood")
    make_images("benchmark_imglist/mine/x/0.png", root="openood")
    file = base / "benchmark_imglist" / "mine" / "test.txt"
    file.write_text("".join(f"x/{i}.png 0\n" for i in range(5)))
    assert listed(file, role="test").root == base / "images_classic"


def test_all_images_gone_names_the_places(make_images: Make) -> None:
    file = written(make_images(), "".join(f"x/{i}.png 0\n" for i in range(300)))
    with pytest.raises(DataError, match=r"none of the images .* first is 'x/0\.png'.*Set root"):
        listed(file)


def test_windows_paths(make_images: Make) -> None:
    root = make_images("train/cat/1.png", "train/new dog/2.png")
    images = listed(written(root, "train\\cat\\1.png 0\r\n.\\train\\new dog\\2.png 1\r\n"))
    assert images.ids == ("train/cat/1.png", "./train/new dog/2.png")
    assert images.load(1).size == (5, 4)


def test_a_backslash_in_a_name_that_is_there_stays(make_images: Make) -> None:
    root = make_images("a\\b.png", "c.png")
    assert listed(written(root, "a\\b.png 0\nc.png 1\n")).ids == ("a\\b.png", "c.png")


def test_file_addresses_and_absolute_paths(make_images: Make, tmp_path: Path) -> None:
    root = make_images("a b.png", "c.png", "d.png")
    (tmp_path / "lists").mkdir()
    text = f"file://{root}/a%20b.png 0\nfile://localhost{root}/c.png 1\n{root}/d.png 1\n"
    images = listed(written(tmp_path / "lists", text))
    assert images.ids == tuple(f"{root}/{n}" for n in ("a b.png", "c.png", "d.png"))
    assert images.load(0).size == (5, 4)


def test_paths_below_the_home_folder(make_images: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_images("a.png", "b.png")
    monkeypatch.setenv("HOME", str(root))
    (root / "lists").mkdir()
    images = listed(written(root / "lists", "~/a.png 0\n~/b.png 1\n"))
    assert images.ids == (f"{root}/a.png", f"{root}/b.png")


@pytest.mark.parametrize(
    ("text", "ids", "dropped"),
    [
        ("a.png 0\n" * 6 + "b.png 1\n", ["a.png", "b.png"], 5),
        ("a.png 0\n./a.png 0\n.//a.png 0\nb.png 1\n", ["a.png", "b.png"], 2),
        ("a.png 0\n{root}/a.png 0\nb.png 1\n", ["a.png", "b.png"], 1),
        ("a.png 0\nfile://{root}/a.png 0\nb.png 1\n", ["a.png", "b.png"], 1),
        ("link.png 0\na.png 0\nb.png 1\n", ["link.png", "b.png"], 1),
        ("a.png 0\nfolder/a.png 0\nsub/../a.png 0\nb.png 1\n", ["a.png", "b.png"], 2),
        ("a.png 0\na.png 0.0\na.png +0\nb.png 1\n", ["a.png", "b.png"], 2),
        ("gone.png 0\ngone.png 0\na.png 0\nb.png 1\n", ["gone.png", "a.png", "b.png"], 1),
        ("a.png 0\nhard.png 0\nb.png 1\n", ["a.png", "hard.png", "b.png"], 0),
    ],
)
@pytest.mark.parametrize("kind", ["image_list", "manifest"])
def test_an_image_counts_once(
    make_images: Make, tmp_path: Path, kind: str, text: str, ids: list[str], dropped: int
) -> None:
    root = make_images("a.png", "b.png")
    (root / "link.png").symlink_to("a.png")
    (root / "folder").symlink_to(root)
    (root / "sub").mkdir()
    (root / "hard.png").hardlink_to(root / "a.png")
    text = text.replace("{root}", str(root))
    if kind == "manifest":
        text = "path,label\n" + text.replace(".png ", ".png,")
    images = listed(written(root, text), kind)
    assert list(images.ids) == ids
    assert len(images.labels) == len(ids)
    assert len(images.left_out) == dropped
    assert all(out.reason == "named again" for out in images.left_out)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png 0\nb.png 1\na.png 1\n", r"'a\.png' is listed with two labels, 0 and 1"),
        ("a.png 0\n./a.png 1\n", r"'a\.png' \(also as '\./a\.png'\) .*two labels, 0 and 1"),
        ("a.png 0\nlink.png 1\n", r"'a\.png' \(also as 'link\.png'\) .*two labels, 0 and 1"),
        ("a.png cat\na.png dog\nb.png cat\n", r"two labels, 'cat' and 'dog'"),
        ("path,label\na.png,1\na.png,\n", r"two labels, 1 and -1"),
    ],
)
def test_an_image_with_two_labels(make_images: Make, text: str, message: str) -> None:
    root = make_images("a.png", "b.png")
    (root / "link.png").symlink_to("a.png")
    with pytest.raises(DataError, match=message):
        listed(written(root, text))


def test_two_labels_that_the_label_map_makes_one(make_images: Make) -> None:
    file = written(make_images("a.png", "b.png"), "a.png kitty\na.png cat\nb.png dog\n")
    images = listed(file, label_map={"kitty": "cat"}, class_names=("cat", "dog"))
    np.testing.assert_array_equal(images.labels, [0, 1])


@pytest.mark.parametrize(
    "paths",
    [
        ['"z"', "c.png"],
        ['"z" w.png', "'q'.png", '"x".png'],
        ["a,b.png", "c;d.png", "e, f.png"],
        ["a.png b.png", "x.png.png", "x.pngy.png"],
        ["a (1).png", "b.png (1)", "c - copy.JPEG"],
        ["no suffix", "other.npy", "ü.webp"],
        ["image", "id", "c.png"],
        ["./a.png", "x/../b.png", "sub//c.png"],
        ["a\tb.png", "c\\d.png"],
        ["%20.png", "a=b.png", "file:x.png"],
    ],
)
@pytest.mark.parametrize("label", ["3", "-1", ""])
def test_what_was_read_rightly_keeps_its_ids(
    make_images: Make, tmp_path: Path, paths: list[str], label: str
) -> None:
    """The ids are part of the key under which activations are stored."""
    root = make_images(*(f"{i}.png" for i in range(len(paths))))
    (root / "x").mkdir()
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(exist_ok=True)
        (root / f"{number}.png").rename(root / path)
    images = listed(written(root, "".join(f"{p} {label}\n" for p in paths)))
    assert list(images.ids) == paths
    assert images.root == root
    if label:
        np.testing.assert_array_equal(images.labels, [int(label)] * len(paths))
    else:
        assert images.labels is None


@pytest.mark.parametrize(
    ("header", "labels"),
    [
        ("Path,Label", [3, 0]),
        ("PATH,LABEL", [3, 0]),
        ("path,Label", [3, 0]),
        ("Path,Size", None),
        ("path,size", None),
    ],
)
def test_case_does_not_hide_the_usual_columns(
    make_images: Make, header: str, labels: list[int] | None
) -> None:
    root = make_images(*TWO)
    csv = written(root, f"{header}\na b.png,3\nc.png,0\n", "t.csv")
    keys = header.split(",")
    rows = [dict(zip(keys, row, strict=True)) for row in zip(TWO, (3, 0), strict=True)]
    for file in (csv, written(root, json.dumps(rows), "t.json")):
        found = listed(file, "manifest", num_classes=4).labels
        assert (None if found is None else found.tolist()) == labels


def test_a_list_whose_header_begins_with_path_keeps_its_labels(make_images: Make) -> None:
    root = make_images(*TWO)
    images = listed(written(root, "Path;Class\na b.png;3\nc.png;0\n"), num_classes=4)
    np.testing.assert_array_equal(images.labels, [3, 0])


def test_of_two_columns_that_differ_by_case_the_usual_one_is_meant(make_images: Make) -> None:
    root = make_images(*TWO)
    file = written(root, "Path,path,Label,LABEL\nx,a b.png,1,2\ny,c.png,1,2\n", "t.csv")
    with pytest.raises(DataError, match="2 columns called 'Label'"):
        listed(file, "manifest")
    assert listed(file, "manifest", label_column="LABEL", labels="none").ids == TWO


def test_one_column_cannot_be_paths_and_labels(make_images: Make) -> None:
    root = make_images(*TWO)
    file = written(root, "path,label\na b.png,3\nc.png,0\n", "t.csv")
    with pytest.raises(DataError, match="'path' is both path_column and label_column"):
        listed(file, "manifest", label_column="path")

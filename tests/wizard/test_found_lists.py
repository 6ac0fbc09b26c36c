"""Lists and tables that the look through a folder finds: seen as `extract` reads them."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ood_core.wizard.found_lists import FoundList, look_into_list
from tests.wizard.test_survey import lay

ROWS = [("cat/a.png", "cat"), ("cat/ä (1).png", "cat"), ("dog/b.png", "dog")]


def table(separator: str, path: str = "path", label: str = "label") -> str:
    return "\n".join(separator.join(row) for row in [(path, label), *ROWS]) + "\n"


def columns(path: str, label: str) -> str:
    return json.dumps([{path: p, label: c, "size": 3} for p, c in ROWS])


DIALECTS: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "UTF-16 of PowerShell": ("l.csv", table(",").encode("utf-16"), {}),
    "a list in UTF-16": ("l.txt", "\r\n".join(f"{p}\t{c}" for p, c in ROWS).encode("utf-16"), {}),
    "semicolons": ("l.csv", table(";").encode(), {}),
    "Excel": ("l.csv", ("sep=;\n" + table(";", "Bild", "class")).encode("cp1252"),
              {"path_column": "Bild", "label_column": "class"}),
    "packed": ("l.csv.gz", gzip.compress(table(",", "file", "Target").encode()),
               {"path_column": "file", "label_column": "Target"}),
    "a packed list": ("l.txt.bz2", bz2.compress(table(" ").encode()), {}),
    "records": ("l.json", columns("img", "category").encode(),
                {"path_column": "img", "label_column": "category"}),
    "lines of JSON": ("l.jsonl", "\n".join(json.dumps({"path": p, "label": c}) for p, c in ROWS)
                      .encode(), {}),
    "labels by path": ("l.json", json.dumps(dict(ROWS)).encode(), {}),
    "without a header": ("l.csv", "\n".join(f"{p},{c}" for p, c in ROWS).encode(), {}),
    "comments": ("l.tsv", b"# mine\n" + table("\t").encode(), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
def test_lists_are_found_in_whatever_dialect_they_are_read(name: str, tmp_path: Path) -> None:
    file, data, options = DIALECTS[name]
    root = lay(tmp_path / "mine", *(path for path, _ in ROWS))
    (root / file).write_bytes(data)
    found = look_into_list(root / file)
    assert found == FoundList(options, True, frozenset({"cat", "dog"}), folders_of(root))
    below = lay(tmp_path / "other", *(f"data/{path}" for path, _ in ROWS))
    (below / file).write_bytes(data)
    found = look_into_list(below / file)
    assert found == FoundList(
        {**options, "root": str(below / "data")},
        True,
        frozenset({"cat", "dog"}),
        folders_of(below / "data"),
    )


def folders_of(root: Path) -> frozenset[Path]:
    return frozenset({root / "cat", root / "dog"})


def test_images_inside_a_table_are_found_with_their_class_names(tmp_path: Path) -> None:
    png = lay(tmp_path, "a.png") / "a.png"
    cells = [{"bytes": png.read_bytes(), "path": None}] * 4
    features = {"image": {"_type": "Image"}, "fine": {"_type": "ClassLabel", "names": ["a", "b"]}}
    info = json.dumps({"info": {"features": features}})
    found = pa.table({"image": cells, "fine": [0, 1, 1, 0]})
    pq.write_table(found.replace_schema_metadata({"huggingface": info}), tmp_path / "train.parquet")
    assert look_into_list(tmp_path / "train.parquet") == FoundList({}, True, frozenset("ab"))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("l.csv", "path,label\ncat/a.png,cat\ndog/b.png,dog,3\n"),
        ("l.csv", "path,label\ncat/a.png,0.5\ndog/b.png,1\n"),
        ("l.txt", "cat/a.png 0\ndog/b.png\n"),
    ],
)
def test_a_list_that_will_be_refused_is_found_so_that_the_checks_can_say_why(
    file: str, text: str, tmp_path: Path
) -> None:
    root = lay(tmp_path, "cat/a.png", "dog/b.png", f"{file}={text}")
    assert look_into_list(root / file) == FoundList(labelled=True)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("log.txt", "epoch 1 loss 0.3\nepoch 2 loss 0.2\n"),
        ("metrics.csv", "epoch,loss\n1,0.3\n"),
        ("config.json", '{"architectures": ["x"], "id2label": {"0": "cat"}}'),
        ("notes.txt", ""),
        ("broken.csv.gz", "no gzip"),
        ("broken.parquet", "no parquet"),
    ],
)
def test_what_names_no_images_is_no_list(file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)
    assert look_into_list(tmp_path / file) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_only_the_beginning_of_a_long_table_is_read(encoding: str, tmp_path: Path) -> None:
    lay(tmp_path, "cat/ä0.png")
    rows = "".join(f"cat/ä{i}.png,cat\n" for i in range(400_000))
    (tmp_path / "l.csv").write_bytes(("path,label\n" + rows + "dog/b.png\n").encode(encoding))
    found = look_into_list(tmp_path / "l.csv")
    assert found == FoundList({}, True, frozenset({"cat"}), frozenset({tmp_path / "cat"}))

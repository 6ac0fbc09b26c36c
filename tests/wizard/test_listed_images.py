"""Lists and tables as the images of a new experiment: recognised, checked, run from end to end."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ood_core import extract, load_experiment, wizard
from ood_core.commands import _main as cli
from ood_core.wizard import Draft, SetDraft

CLASSES = ("cat", "dog", "horse")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "image_list"),
        ("a.LST", "image_list"),
        ("a.txt.gz", "image_list"),
        ("a.txt.zip", "image_list"),
        ("v1.5.txt", "image_list"),
        ("a.csv", "manifest"),
        ("a.csv.bz2", "manifest"),
        ("a.tsv.xz", "manifest"),
        ("a.jsonl", "manifest"),
        ("a.json.gz", "manifest"),
        ("a.pq", "manifest"),
        ("a.parquet", "manifest"),
        ("a.zip", "zip"),
        ("a.v2.zip", "zip"),
        ("a.png", "folder"),
    ],
)
def test_what_a_file_is_taken_for(tmp_path: Path, name: str, kind: str) -> None:
    assert wizard.set_kind(str(tmp_path / name)) == kind


def embedded(folder: Path, file: Path) -> Path:
    """The images of a folder in a Parquet table, as Hugging Face's `datasets` writes it."""
    files = sorted(folder.rglob("*.png"))
    cells = [{"bytes": f.read_bytes(), "path": f.name} for f in files]
    labels = [CLASSES.index(f.parent.name) for f in files]
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": CLASSES}}
    info = json.dumps({"info": {"features": features}})
    found = pa.table({"image": cells, "label": labels})
    pq.write_table(found.replace_schema_metadata({"huggingface": info}), file, row_group_size=5)
    return file


def lines(folder: Path) -> list[tuple[str, str]]:
    files = sorted(folder.rglob("*.png"))
    return [(f.relative_to(folder).as_posix(), f.parent.name) for f in files]


@pytest.fixture
def draft(folders: Path, checkpoint: Callable[..., Path]) -> Draft:
    """Fit images in Parquet, test images in a packed table of backslashes, OOD images in a list."""
    train, test = folders / "photos/train", folders / "photos/test"
    with gzip.open(test / "test.csv.gz", "wt", newline="", encoding="utf-16") as out:
        rows = [(path.replace("/", "\\"), label) for path, label in lines(test)]
        csv.writer(out, delimiter=";").writerows([("path", "label"), *rows])
    names = [path for path, _ in lines(folders / "drawings")]
    (folders / "drawings/list.txt").write_text("\r".join([*names, names[0], f"./{names[1]}"]))
    return wizard.complete(
        Draft(
            name="mine",
            checkpoint=str(checkpoint()),
            fit=SetDraft(str(embedded(train, folders / "fit.parquet")), "fit"),
            test=SetDraft(str(test / "test.csv.gz"), "test"),
            ood=(SetDraft(str(folders / "drawings/list.txt"), "drawings"),),
        )
    )


def test_the_checks_say_what_was_read(draft: Draft) -> None:
    found = {line.part: line for line in wizard.check_draft(draft)}
    assert found["fit"].text == "18 images, 3 classes: cat, dog, horse. Labels are class numbers."
    assert found["test"].text == "12 images, 3 classes: cat, dog, horse. Labels are class numbers."
    assert found["drawings"].text == (
        "9 images, no labels. Left out: 2 named again (00.png, ./01.png)."
    )


def test_the_same_activations_as_from_folders(
    draft: Draft, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["new", "listed", "--fit", draft.fit.source, "--test", draft.test.source]
    argv += ["--ood", draft.ood[0].source, "--checkpoint", draft.checkpoint]
    assert cli.main([*argv, "--check", "0", "--quiet"]) == 0, capsys.readouterr()
    argv = ["new", "plain", "--fit", str(folders / "photos/train")]
    argv += ["--test", str(folders / "photos/test"), "--ood", str(folders / "drawings")]
    assert cli.main([*argv, "--checkpoint", draft.checkpoint, "--check", "0", "--quiet"]) == 0
    listed, plain = (extract(load_experiment(name)) for name in ("listed", "plain"))
    for one, other in ((listed[s], plain[s]) for s in ("fit", "test")):
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.logits, other.logits)
    ood = (set(acts.experiment.ood_sets) for acts in (listed, plain))
    one, other = (acts[name] for acts, (name,) in zip((listed, plain), ood, strict=True))
    np.testing.assert_array_equal(one.logits, other.logits)

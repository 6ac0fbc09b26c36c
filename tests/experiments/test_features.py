"""Experiment files whose features come from elsewhere."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ood_core.errors import ConfigError
from ood_core.experiments import load_experiment, parse_experiment, to_toml

SETS = """
[id]
fit = { features = "fit.npz", limit = 3 }
test = { features = "rows", thumbnails = "text" }
[[ood]]
name = "far"
features = "far.parquet"
thumbnails = "pictures"
near = true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("fit.npz", "far.parquet", "head.npz"):
        (tmp_path / name).write_bytes(b"not opened here")
    (tmp_path / "rows").mkdir()
    np.save(tmp_path / "rows" / "features.npy", np.eye(2))
    (tmp_path / "pictures").mkdir()
    return tmp_path


def written(folder: Path, text: str) -> Path:
    (folder / "mine.toml").write_text(text, "utf-8")
    return folder / "mine.toml"


@pytest.mark.parametrize(
    "table",
    [
        "",
        "[classifier]\n",
        '[classifier]\narchitecture = "features"\n',
        '[classifier]\nhead = "head.npz"\nclass_names = ["a", "b"]\nexpected_accuracy = 0.9\n',
    ],
)
def test_what_is_written_is_what_is_read(folder: Path, table: str) -> None:
    found = load_experiment(written(folder, table + SETS))
    assert found.classifier.features_only
    assert found.preprocessing is None
    assert found.near == ("far",)
    assert {spec.kind for spec in found.sets.values()} == {"features"}
    assert found.sets["far"].options["thumbnails"] == str(folder / "pictures")
    assert found.sets["test"].options["thumbnails"] == "text"
    text = to_toml(found, folder)
    assert str(folder) not in text
    again = load_experiment(written(folder, text))
    assert dataclasses.replace(again, path=None) == dataclasses.replace(found, path=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[preprocessing]\nresize = 8\n" + SETS, r"\[preprocessing\] is what images go through"),
        ('[classifier]\ncheckpoint = "a.pt"\n' + SETS, "checkpoint is of a network"),
        ("[classifier]\nrandom_weights = 0\n" + SETS, "random_weights is of a network"),
        ('[classifier]\narchitecture = "digits_cnn"\n' + SETS, "architecture = 'digits_cnn' is of"),
        ("[classifier]\nnum_classes = 3\n" + SETS, "num_classes is of a network"),
        ('[classifier]\nheads = "head.npz"\n' + SETS, "unknown key 'heads'.*head"),
        ('[classifier]\nhead = "none.npz"\n' + SETS, "head = 'none.npz' does not exist"),
        ("classifier = 3\n" + SETS, "classifier"),
        (SETS.replace('"fit.npz"', '"none.npz"'), "features = 'none.npz' does not exist"),
        (SETS.replace('"rows"', '"pictures"'), r"a folder without a \.npy file"),
        (SETS.replace('features = "far.parquet"', 'builtin = "digits:noise"').replace(
            'thumbnails = "pictures"', ""), "'far' is of the kind builtin.*features = \"far"),
        (SETS.replace('"fit.npz"', '"fit.npz", root = "x"'), "unknown key 'root'"),
    ],
)  # fmt: skip
def test_wrong_files_are_said(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_experiment(written(folder, text))


def test_an_experiment_of_images_takes_no_features(folder: Path) -> None:
    text = """
    [classifier]
    architecture = "digits_cnn"
    random_weights = 0
    [id]
    fit = { builtin = "digits:fit" }
    test = { builtin = "digits:test" }
    [[ood]]
    name = "far"
    features = "far.parquet"
    """
    with pytest.raises(ConfigError, match="'far' holds features, but the fit set holds images"):
        load_experiment(written(folder, text))
    values = tomllib.loads(text) | {"ood": []}
    values["classifier"]["head"] = "none.npz"  # of a network: a linear probe
    with pytest.raises(ConfigError, match=r"head = 'none.npz' does not exist"):
        parse_experiment({"name": "x", **values})

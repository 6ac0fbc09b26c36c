"""One-class fits: some classes are ID, the test set's others an OOD set, whatever the kind."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ood_core.activations import extract
from ood_core.data import open_dataset
from ood_core.errors import ConfigError, DataError
from ood_core.experiments import Experiment, load_experiment, save_experiment
from ood_core.experiments.parsing import parse_experiment
from ood_core.scoring import run_gates, score

CLASSIFIER = {"architecture": "digits_cnn"}
SIZE = {"resize": 16, "center_crop": 16, "mode": "L", "mean": [0.3], "std": [0.3]}
PER = {"cat": 4, "dog": 3, "horse": 2}


def experiment(fit: Any, test: Any, *classes: str, **classifier: Any) -> Experiment:
    seed = {} if "weights" in classifier else {"random_weights": 0}
    return parse_experiment(
        {
            "name": "mine",
            "classifier": CLASSIFIER | seed | classifier,
            "preprocessing": SIZE,
            "id": {"fit": fit, "test": test, **({"classes": list(classes)} if classes else {})},
        }
    )


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split in ("fit", "test"):
        for name, n in PER.items():
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 255, (16, 16), np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / name / f"{i}.png")
    return tmp_path


def as_folder(base: Path, split: str) -> dict[str, Any]:
    return {"folder": str(base / split)}


def as_list(base: Path, split: str) -> dict[str, Any]:
    lines = [f"{c}/{i}.png {c}" for c, n in PER.items() for i in range(n)]
    (base / f"{split}.txt").write_text("\n".join(lines))
    return {"image_list": str(base / f"{split}.txt"), "root": str(base / split)}


def as_table(base: Path, split: str) -> dict[str, Any]:
    lines = [f"{c}/{i}.png,{c}" for c, n in PER.items() for i in range(n)]
    (base / f"{split}.csv").write_text("path,label\n" + "\n".join(lines))
    return {"manifest": str(base / f"{split}.csv"), "root": str(base / split)}


def as_zip(base: Path, split: str) -> dict[str, Any]:
    with zipfile.ZipFile(base / f"{split}.zip", "w") as archive:
        for file in sorted((base / split).rglob("*.png")):
            archive.write(file, file.relative_to(base / split))
    return {"zip": str(base / f"{split}.zip")}


@pytest.mark.parametrize("kind", [as_folder, as_list, as_table, as_zip])
@pytest.mark.parametrize("classes", [("cat",), ("dog", "horse")])
def test_chosen_classes_are_id_and_the_others_ood(folders: Path, kind: Any, classes: Any) -> None:
    exp = experiment(kind(folders, "fit"), kind(folders, "test"), *classes)
    assert exp.id_classes == classes
    assert exp.ood_sets == ("other classes",)
    whole = open_dataset(experiment(kind(folders, "fit"), kind(folders, "test")).sets["test"])
    names = np.array(whole.class_names)[whole.labels]
    chosen = np.isin(names, classes)
    fit, test, others = (open_dataset(exp.sets[s]) for s in ("fit", "test", "other classes"))
    assert len(fit) == sum(PER[c] for c in classes)
    assert test.ids == tuple(np.array(whole.ids)[chosen])
    assert others.ids == tuple(np.array(whole.ids)[~chosen])
    assert others.labels is None
    assert others.class_names is None
    np.testing.assert_array_equal(test.labels, whole.labels[chosen])  # numbers are the network's
    assert test.class_names == whole.class_names
    assert len({s.identity for s in (fit, test, others, whole)}) == 4
    first = whole.load(int(np.flatnonzero(chosen)[0]))
    np.testing.assert_array_equal(np.asarray(test.load(0)), np.asarray(first))


def test_the_digits(tmp_path: Path) -> None:
    fit, test = {"builtin": "digits:fit"}, {"builtin": "digits:test"}
    exp = experiment(fit, test, "3")
    whole = open_dataset(experiment(fit, test).sets["test"])
    one, others = (open_dataset(exp.sets[s]) for s in ("test", "other classes"))
    assert set(one.labels) == {3}
    assert len(one) + len(others) == len(whole)


def test_limits_count_what_is_left(folders: Path) -> None:
    limited = {**as_folder(folders, "test"), "per_class": 1}
    exp = experiment({**as_folder(folders, "fit"), "limit": 3}, limited, "cat")
    sizes = {name: len(open_dataset(spec)) for name, spec in exp.sets.items()}
    assert sizes == {"fit": 3, "test": 1, "other classes": 2}


@pytest.mark.parametrize("kind", [as_folder, as_list, as_table, as_zip])
def test_unknown_classes_are_named_with_those_there_are(folders: Path, kind: Any) -> None:
    exp = experiment(kind(folders, "fit"), kind(folders, "test"), "cta")
    with pytest.raises(DataError, match=r"classes names 'cta'.*Did you mean 'cat'\?"):
        len(open_dataset(exp.sets["fit"]))
    with pytest.raises(ConfigError, match=r"classes names 'cta', which is none of class_names"):
        experiment(
            kind(folders, "fit"), kind(folders, "test"), "cta", class_names=["cat", "dog", "horse"]
        )


def test_what_cannot_be_a_one_class_fit(folders: Path) -> None:
    fit, test = as_folder(folders, "fit"), as_folder(folders, "test")
    for wrong in ([], [3], "cat", ["cat", "cat"]):
        with pytest.raises(ConfigError, match="classes"):
            parse_experiment(
                {"name": "mine", "classifier": CLASSIFIER | {"random_weights": 0},
                 "id": {"fit": fit, "test": test, "classes": wrong}}
            )  # fmt: skip
    every = experiment(fit, test, *PER)
    with pytest.raises(DataError, match="no image is of a class beside 'cat', 'dog', 'horse'"):
        len(open_dataset(every.sets["other classes"]))
    bare = experiment({**fit, "labels": "none"}, {**test, "labels": "none"}, "cat")
    with pytest.raises(DataError, match=r"needs class folders or labels, and there are none"):
        len(open_dataset(bare.sets["fit"]))
    with pytest.raises(ConfigError, match=r"two data sets are called 'other classes'.*\[id\]"):
        parse_experiment(
            {"name": "mine", "classifier": CLASSIFIER | {"random_weights": 0},
             "id": {"fit": fit, "test": test, "classes": ["cat"]},
             "ood": [{"name": "other classes", "builtin": "digits:noise"}]}
        )  # fmt: skip


def test_what_is_written_reads_the_same(folders: Path) -> None:
    fit, test = as_folder(folders, "fit"), as_folder(folders, "test")
    exp = experiment(fit, test, "dog", "cat")
    again = load_experiment(save_experiment(exp, folders / "mine.toml"))
    assert again.sets == exp.sets
    assert again.ood_sets == exp.ood_sets
    assert again.id_classes == ("dog", "cat")
    assert "other classes" not in (folders / "mine.toml").read_text()


def test_figures_are_those_of_the_chosen_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fitted on the threes, scores are as of arrays of the threes, with the whole network."""
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    sets = {"builtin": "digits:fit"}, {"builtin": "digits:test"}
    shipped = {"weights": "shipped", "expected_accuracy": 0.99}
    base, one = experiment(*sets, **shipped), experiment(*sets, "3", **shipped)
    whole, acts = extract(base), extract(one)
    assert whole.model == acts.model
    threes = whole["fit"].labels == 3
    np.testing.assert_array_equal(acts["fit"].features, whole["fit"].features[threes])
    others = whole["test"].labels != 3
    np.testing.assert_array_equal(acts["other classes"].features, whole["test"].features[others])
    assert len(score(acts, "mahalanobis").ood["other classes"]) == others.sum()
    gates = {g.name: g for g in run_gates(acts)}
    assert gates["Every class has fit images"].text.startswith("1 of 1 classes")
    assert "not declared" in gates["ID accuracy is as expected"].text
    assert dataclasses.replace(one, name="other").id_classes == ("3",)

"""Files that version 956e8ce wrote (`old_files/write.py`): they open, mean and give the same."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import ood_core
from ood_core.activations.engine import Runner
from ood_core.commands import _main as cli
from ood_core.data import DIGITS_SOURCES
from ood_core.data.digits import DigitsSet
from ood_core.data.files import FileSet
from ood_core.data.numbering import Numbering
from ood_core.experiments import Preprocessing
from ood_core.export.recipe import is_recipe, load_recipe
from ood_core.models import model_fingerprint
from ood_core.models.architectures import architectures
from ood_core.scoring.params import params_from
from ood_core.scoring.score_set import score
from ood_core.theory import lab
from ood_core.theory.lab import results as lab_results
from ood_core.thresholds import at

OLD = Path(__file__).parent / "old_files"
KEYS = json.loads((OLD / "keys.json").read_text(encoding="utf-8"))
RATES = ("auroc", "auroc_low", "auroc_high", "fpr95", "fpr95_low", "fpr95_high", "aupr_in",
         "aupr_out")  # fmt: skip


@pytest.fixture(autouse=True)
def old_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The old home, copied; the packages whose versions are in keys are those of its time."""
    home = tmp_path / "home"
    shutil.copytree(OLD / "home", home)
    monkeypatch.setenv("OOD_LENS_HOME", str(home))
    monkeypatch.delenv("OOD_LENS_DATA", raising=False)
    monkeypatch.setattr("ood_core.data.digits.version", KEYS["versions"].__getitem__)
    lab_results.recipe.cache_clear()
    yield home
    lab_results.recipe.cache_clear()


@pytest.fixture
def no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither load a network nor run one."""

    def refused(*_args: object, **_options: object) -> None:
        raise AssertionError("a network is loaded or run: stored activations were not found")

    monkeypatch.setattr(Runner, "__init__", refused)
    monkeypatch.setattr("ood_core.models.load_model", refused)


def test_the_experiment_means_the_same() -> None:
    exp = ood_core.load_experiment("old-digits")
    assert (exp.title, exp.fit_set, exp.test_set) == ("Digits, untrained", "fit", "test")
    assert (exp.ood_sets, exp.near) == (("held-out", "noise"), ("held-out",))
    assert exp.classifier.architecture == "digits_cnn"
    assert (exp.classifier.random_weights, exp.classifier.num_classes) == (3, 8)
    assert exp.classifier.class_names == tuple("01234567")
    assert exp.preprocessing == Preprocessing(
        resize=16, center_crop=16, mean=(0.3,), std=(0.32,), interpolation="bilinear", mode="L"
    )
    assert dict(exp.detectors["line"]) == {"p_a": 80.0}
    assert exp.sets["fit"].options["per_class"] == 5
    assert exp.sets["noise"].source == "digits:noise"


def test_stored_activations_are_served_without_a_forward_pass(no_pass: None) -> None:
    acts = ood_core.extract(ood_core.load_experiment("old-digits"))
    assert {name: len(acts[name]) for name in acts} == {
        "fit": 40, "test": 40, "held-out": 24, "noise": 24,
    }  # fmt: skip
    assert [layer.name for layer in acts.layers] == ["block1", "block2", "block3", "penultimate"]
    logits = np.asarray(acts["test"].features, np.float64) @ acts.head.weight.T + acts.head.bias
    np.testing.assert_allclose(logits, acts["test"].logits, atol=1e-5)


def test_an_absent_entry_is_noticed(old_home: Path, no_pass: None) -> None:
    """That the test above can fail."""
    shutil.rmtree(next((old_home / "activations" / "sets").iterdir()))
    with pytest.raises(AssertionError, match="stored activations were not found"):
        ood_core.extract(ood_core.load_experiment("old-digits"))


def test_another_release_serves_them_too(no_pass: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ood_core, "__version__", "9.9.9")
    assert ood_core.prepared(ood_core.load_experiment("old-digits")) is not None


def test_benchmark_of_the_recipe_gives_its_figures(
    no_pass: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert is_recipe(OLD / "recipe.toml")
    assert load_recipe(OLD / "recipe.toml").detector == "negative_aware_norm", "once called nan"
    assert cli.main(["benchmark", str(OLD / "recipe.toml")]) == 0
    told = capsys.readouterr().err
    assert "as in the recipe: 2 OOD sets, every figure the same." in told


def test_the_rule_of_the_recipe_means_what_it_meant(no_pass: None) -> None:
    """`cost=10` leaves the prevalence out: half of the images are OOD."""
    recipe = load_recipe(OLD / "recipe.toml")
    acts = ood_core.extract(ood_core.load_experiment(recipe.experiment))
    sample = score(acts, recipe.detector, recipe.params, recipe.layer, recipe.ood_sets).sample()
    assert at(recipe.at, sample) == at("cost=10,prevalence=0.5", sample)
    assert at(recipe.at, sample).threshold != at("cost=10,prevalence=0.01", sample).threshold


def test_results_are_found_again(no_pass: None) -> None:
    rows = list(csv.DictReader((OLD / "results.csv").read_text(encoding="utf-8").splitlines()))
    assert len({row["detector"] for row in rows}) > 20
    acts = ood_core.extract(ood_core.load_experiment("old-digits"))
    for row in rows:
        layer = None if row["layer"] == "penultimate" else row["layer"]
        scores = score(acts, row["detector"], params_from(row["params"]), layer)
        found = scores.evaluate(row["ood_set"])
        expected = [float(row[name]) for name in RATES]
        np.testing.assert_allclose(
            [getattr(found, name) for name in RATES], expected, atol=1e-6, err_msg=str(row)
        )


def test_keys_of_image_sets_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {source: DigitsSet(source).identity for source in DIGITS_SOURCES} == KEYS["digits"]
    names = Numbering("given", ("x", "y"))
    files = FileSet("photos", Path("/photos"), ["a.png", "b/ö.png"], np.array([0, 1]), names)
    stat = SimpleNamespace(st_size=1234, st_mtime_ns=1_700_000_000_123_456_789)
    monkeypatch.setattr("os.stat", lambda _path: stat)
    identity = files.identity
    monkeypatch.undo()
    assert identity == KEYS["folder"]


def test_keys_of_classifiers_stay() -> None:
    """They hold a hash of the architecture's file, which is thus not to be touched: an edit, be
    it of a comment, makes every stored activation of its networks unreadable."""
    own = ood_core.load_experiment("old-digits")

    def fingerprint(architecture: str) -> str:
        classifier = dataclasses.replace(own.classifier, architecture=architecture)
        return model_fingerprint(dataclasses.replace(own, classifier=classifier))

    assert KEYS["classifiers"].keys() <= architectures().keys()
    assert {name: fingerprint(name) for name in KEYS["classifiers"]} == KEYS["classifiers"]


def test_runs_of_another_recipe_are_not_taken_for_those_of_this(old_home: Path) -> None:
    """Those runs were trained in float32: the same run has other figures today."""
    run = lab.Run("one_label", 0, width=8)
    folder = old_home / "lab" / KEYS["lab"]
    assert (folder / f"{run.name}.json").is_file()
    assert lab.load_results([run]).runs == ()
    assert (folder / f"{run.name}.json").is_file()

"""Features from elsewhere in the store: the same scores, without torch, from the last shard on."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from ood_core.activations import (
    Activations,
    ActivationSet,
    extract,
    new_rows,
    open_rows,
    prepared,
    rows_joined,
    store_usage,
)
from ood_core.activations.resident_models import resident_model
from ood_core.data import experiment_status
from ood_core.errors import DataError, ModelError, StoppedError
from ood_core.experiments import ClassifierSpec, DataSpec, Experiment, load_experiment
from ood_core.models import PENULTIMATE, WeightsMissingError, load_model
from ood_core.scoring import run_gates, score


def written(
    folder: Path, sets: Mapping[str, Mapping[str, object]], head: Mapping[str, object] | None
) -> Experiment:
    """An experiment of arrays: sets `fit`, `test` and any others."""
    folder.mkdir(exist_ok=True)
    for name, arrays in sets.items():
        np.savez(folder / f"{name}.npz", **{k: np.asarray(a) for k, a in arrays.items()})
    if head is not None:
        np.savez(folder / "head.npz", **{k: np.asarray(a) for k, a in head.items()})
    specs = {name: DataSpec(name, "features", str(folder / f"{name}.npz")) for name in sets}
    return Experiment(
        name="rows",
        title="Rows",
        classifier=ClassifierSpec("features", head=folder / "head.npz" if head else None),
        preprocessing=None,
        sets=specs,
        ood_sets=tuple(name for name in sets if name not in ("fit", "test")),
    )


def arrays_of(acts: ActivationSet, *, layers: bool = True) -> dict[str, dict[str, object]]:
    """What a user would save of an extracted experiment: vectors and logits."""
    found: dict[str, dict[str, object]] = {}
    for name, a in acts.items():
        found[name] = {"features": a.features, "logits": a.logits, "ids": np.array(a.ids)}
        if a.labels is not None:
            found[name]["labels"] = a.labels
    return found


def random_sets(seed: int = 0, n: int = 21) -> dict[str, dict[str, object]]:
    rng = np.random.default_rng(seed)
    return {
        name: {
            "early": rng.normal(size=(n, 3)),
            "features": np.maximum(rng.normal(size=(n, 5)), 0).astype(np.float32),
            "labels": np.arange(n) % 4,
        }
        for name in ("fit", "test", "far")
    }


@pytest.fixture
def head() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(9)
    return {"weight": rng.normal(size=(4, 5)), "bias": rng.normal(size=4)}


DETECTORS = ("feature_norm", "negative_aware_norm", "line", "energy", "msp", "mahalanobis", "knn",
             "vim", "react", "sparsity", "fdbd", "dice")  # fmt: skip


def test_scores_are_those_of_the_network(tmp_path: Path) -> None:
    network = extract(load_experiment("digits"))
    assert network.head is not None
    head = {"weight": network.head.weight, "bias": network.head.bias}
    rows = extract(written(tmp_path / "rows", arrays_of(network), head))
    for detector in DETECTORS:
        ours, theirs = score(rows, detector), score(network, detector)
        np.testing.assert_array_equal(ours.id_scores, theirs.id_scores, err_msg=detector)
        for name in network.experiment.ood_sets:
            np.testing.assert_array_equal(ours.ood[name], theirs.ood[name], err_msg=detector)
    for name in network:
        for field in ("l1", "l2", "l0", "negatives", "pooled", "active_fraction", "active_counts"):
            np.testing.assert_array_equal(
                getattr(rows[name].layer(), field), getattr(network[name].layer(), field)
            )
        assert rows[name].ids == network[name].ids
    held = {gate.name: gate.ok for gate in run_gates(rows)}
    assert held == {gate.name: gate.ok for gate in run_gates(network)}


def test_logits_follow_from_the_head(tmp_path: Path, head: dict[str, np.ndarray]) -> None:
    sets = random_sets()
    acts = extract(written(tmp_path / "rows", sets, head))
    features = np.asarray(sets["test"]["features"], np.float64)
    wanted = (features @ head["weight"].T + head["bias"]).astype(np.float32)
    np.testing.assert_array_equal(acts["test"].logits, wanted)
    assert [layer.name for layer in acts.layers] == ["early", PENULTIMATE]
    assert [layer.signed for layer in acts.layers] == [True, False]
    assert acts.preprocessing is None
    early = score(acts, "feature_norm", layer="early").id_scores
    np.testing.assert_allclose(early, np.abs(sets["test"]["early"]).sum(1), rtol=1e-6)


def test_without_head_and_logits(tmp_path: Path) -> None:
    acts = extract(written(tmp_path / "rows", random_sets(), None))
    assert acts.head is None
    assert acts["fit"].logits is None
    assert np.isfinite(score(acts, "sparsity").id_scores).all()
    with pytest.raises(DataError, match="needs logits"):
        score(acts, "energy")


def test_logits_without_a_head_are_scored(tmp_path: Path) -> None:
    sets = random_sets()
    for arrays in sets.values():
        arrays["logits"] = np.asarray(arrays["features"])[:, :4] * 2
    acts = extract(written(tmp_path / "rows", sets, None))
    assert acts.head is None
    np.testing.assert_array_equal(acts["far"].logits, np.asarray(sets["far"]["logits"]))
    assert np.isfinite(score(acts, "energy").id_scores).all()
    with pytest.raises(DataError):
        score(acts, "line")


def test_nothing_of_torch_is_imported_and_no_network_loaded(
    tmp_path: Path, head: dict[str, np.ndarray]
) -> None:
    exp = written(tmp_path / "rows", random_sets(), head)
    from ood_core.experiments import to_toml

    (tmp_path / "rows.toml").write_text(to_toml(exp), "utf-8")
    code = (
        "import sys, ood_core\n"
        "from ood_core import scoring\n"
        f"acts = ood_core.extract(ood_core.load_experiment({str(tmp_path / 'rows.toml')!r}))\n"
        "scoring.score(acts, 'negative_aware_norm')\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    for load in (load_model, resident_model):
        with pytest.raises(ModelError, match="no network: its features were computed elsewhere"):
            load(exp)


def test_a_stopped_import_goes_on_from_its_last_shard(
    tmp_path: Path, head: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    exp = written(tmp_path / "rows", random_sets(), head)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3  # 16 of 21 rows of the first set are through

    with pytest.raises(StoppedError):
        extract(exp, should_stop=stop)
    assert prepared(exp) is None
    there = {entry.folder for entry in store_usage() if any(entry.folder.glob("0*"))}
    assert there
    seen: list[int] = []
    from ood_core.data.features import FeatureSet

    original = FeatureSet.rows

    def counting(self: FeatureSet, name: str, start: int, stop: int) -> np.ndarray:
        seen.append(stop - start if name == "features" else 0)
        return original(self, name, start, stop)

    monkeypatch.setattr(FeatureSet, "rows", counting)
    acts = extract(exp)
    assert 0 < sum(seen) < 3 * 21
    np.testing.assert_array_equal(acts["fit"].features, random_sets()["fit"]["features"])


def test_what_changes_has_another_key(tmp_path: Path, head: dict[str, np.ndarray]) -> None:
    exp = written(tmp_path / "rows", random_sets(), head)
    before = extract(exp)
    assert prepared(exp) is not None
    np.savez(tmp_path / "rows" / "head.npz", weight=head["weight"] * 2, bias=head["bias"])
    assert prepared(exp) is None
    assert not np.array_equal(extract(exp)["fit"].logits, before["fit"].logits)
    written(tmp_path / "rows", random_sets(seed=5), head)
    assert prepared(exp) is None
    other = extract(exp)
    np.testing.assert_array_equal(other["far"].features, random_sets(seed=5)["far"]["features"])


def with_far(**arrays: object) -> dict[str, dict[str, object]]:
    sets = random_sets()
    sets["far"] = {**sets["far"], **arrays}
    sets["far"] = {k: v for k, v in sets["far"].items() if v is not None}
    return sets


def everywhere(**arrays: object) -> dict[str, dict[str, object]]:
    return {name: {**found, **arrays} for name, found in random_sets().items()}


@pytest.mark.parametrize(
    ("sets", "changes", "message"),
    [
        (with_far(features=np.ones((21, 6))), {}, "'far'.*d = 6 values a row, but the fit set"),
        (with_far(early=np.ones((21, 6))), {}, "'far': 'early' has d = 6"),
        (with_far(early=None), {}, "'far' has no array 'early', which the fit set has"),
        (with_far(features=np.full((21, 5), np.nan)), {}, "'far'.*nan at row 0, column 0"),
        (everywhere(labels=np.arange(21) % 5), {}, "label 4 .* out of range, the network has 4"),
        (everywhere(logits=np.ones((21, 3))), {}, "logits has 3 columns, but the head has 4"),
        (everywhere(logits=np.ones((21, 4))), {}, "head does not give the logits: at row"),
        (random_sets(), {"weight": np.ones((4, 6)), "bias": None}, r"weight has shape \(4, 6\)"),
        (random_sets(), {"weight": np.ones((5, 4)), "bias": None}, r"turned: save weight\.T"),
        (random_sets(), {"bias": np.ones(3)}, r"bias must have shape \(4,\)"),
        (random_sets(), {"weight": np.ones(4)}, r"weight must have shape \(classes, features\)"),
        (random_sets(), {"weight": np.full((4, 5), np.inf)}, "must be finite"),
        (random_sets(), {"weight": None, "kernel": np.ones((4, 5))}, "an array .weight.*kernel"),
        (with_far(logits=np.ones((21, 4))), None, "far has logits and the fit set has none"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(
    tmp_path: Path,
    head: dict[str, np.ndarray],
    sets: dict[str, dict[str, object]],
    changes: dict[str, object] | None,
    message: str,
) -> None:
    used = None
    if changes is not None:
        used = {k: v for k, v in {**head, **changes}.items() if v is not None}
    with pytest.raises((DataError, ModelError), match=message):
        extract(written(tmp_path / "rows", sets, used))


def test_names_are_as_many_as_logits(tmp_path: Path) -> None:
    exp = written(tmp_path / "rows", everywhere(logits=np.ones((21, 4))), None)
    named = dataclasses.replace(exp.classifier, class_names=("a", "b"))
    with pytest.raises(DataError, match="names 2 classes but its logits have 4 columns"):
        extract(dataclasses.replace(exp, classifier=named))


def test_what_is_missing_is_listed(tmp_path: Path, head: dict[str, np.ndarray]) -> None:
    exp = written(tmp_path / "rows", random_sets(), head)
    status = experiment_status(exp)
    assert all(part.ready for part in status.values())
    assert status["fit"].message == "21 rows."
    (tmp_path / "rows" / "head.npz").unlink()
    (tmp_path / "rows" / "far.npz").write_bytes(b"")
    status = experiment_status(exp)
    assert "head.npz' is not on disk" in status["classifier"].message
    assert "empty" in status["far"].message
    assert [name for name, part in status.items() if not part.ready] == ["classifier", "far"]


def test_a_head_that_is_gone_is_said(tmp_path: Path, head: dict[str, np.ndarray]) -> None:
    exp = written(tmp_path / "rows", random_sets(), head)
    (tmp_path / "rows" / "head.npz").unlink()
    with pytest.raises(WeightsMissingError, match="is not on disk"):
        extract(exp)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rounding_of_logits_is_no_other_head(
    tmp_path: Path, head: dict[str, np.ndarray], dtype: str
) -> None:
    sets = random_sets()
    for arrays in sets.values():
        exact = np.asarray(arrays["features"], np.float64) @ head["weight"].T + head["bias"]
        arrays["logits"] = exact.astype(dtype)
    extract(written(tmp_path / "rows", sets, head))
    shifted = {"weight": head["weight"], "bias": head["bias"] + 0.5}
    with pytest.raises(DataError, match="does not give the logits"):
        extract(written(tmp_path / "other", sets, shifted))


def test_new_rows_score_as_stored_ones(tmp_path: Path, head: dict[str, np.ndarray]) -> None:
    sets = random_sets()
    acts = extract(written(tmp_path / "rows", sets, head))
    scores = score(acts, "line")
    np.savez(tmp_path / "new.npz", **{k: v for k, v in sets["far"].items() if k != "labels"})
    source = open_rows(acts, tmp_path / "new.npz")
    for detector in ("line", "negative_aware_norm", "energy", "mahalanobis"):
        scores = score(acts, detector)
        found = scores.fitted.score_samples(new_rows(acts, source))
        np.testing.assert_array_equal(found, scores.ood["far"], err_msg=detector)
    part = new_rows(acts, source, 3, 5)
    assert part.ids == ("new.npz/3", "new.npz/4")
    np.savez(tmp_path / "bad.npz", features=np.ones((2, 5)))
    with pytest.raises(DataError, match=r"'bad\.npz' has no array 'early'"):
        open_rows(acts, tmp_path / "bad.npz")
    with pytest.raises(DataError, match="does not exist"):
        open_rows(acts, tmp_path / "none.npz")


def test_joined_rows_have_ids_of_their_own() -> None:
    one = Activations.from_arrays(np.ones((2, 3)), ids=["a", "a (2)"])
    two = Activations.from_arrays(np.ones((2, 3)), ids=["a", "b"])
    assert rows_joined([one, two, two]).ids == ("a", "a (2)", "a (3)", "b", "a (4)", "b (2)")


def test_rows_in_two_sets_are_found(tmp_path: Path, head: dict[str, np.ndarray]) -> None:
    sets = random_sets()
    sets["far"] = sets["test"]
    gates = {g.name: g for g in run_gates(extract(written(tmp_path / "rows", sets, head)))}
    assert gates["ID and OOD have no image in common"].ok is False
    assert gates["Fit and test set have no image in common"].ok is True


def test_the_command_line_scores_rows(tmp_path: Path, head: dict[str, np.ndarray]) -> None:
    from ood_core.experiments import to_toml

    exp = written(tmp_path / "rows", random_sets(), head)
    path = tmp_path / "rows.toml"
    path.write_text(to_toml(dataclasses.replace(exp)), "utf-8")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ood_core", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    far = str(tmp_path / "rows" / "far.npz")
    done = run("score", str(path), "--detector", "nan", "--json", far, str(tmp_path / "none.npz"))
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r.get("path") for r in records[:21]] == [f"far.npz/{i}" for i in range(21)]
    wanted = score(extract(exp), "nan").ood["far"]
    np.testing.assert_array_equal([r["score"] for r in records[:21]], wanted)
    assert "does not exist" in records[21]["error"]
    assert done.returncode == 1
    for words in (("extract", str(path)), ("benchmark", str(path), "--detectors", "nan,energy"),
                  ("store",)):  # fmt: skip
        done = run(*words)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr


def test_a_recipe_repeats_the_figures(tmp_path: Path, head: dict[str, np.ndarray]) -> None:
    from ood_core.experiments import to_toml
    from ood_core.export.recipe import load_recipe, of_view

    exp = written(tmp_path / "rows", random_sets(), head)
    path = tmp_path / "rows.toml"
    path.write_text(to_toml(exp), "utf-8")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(of_view(score(extract(exp), "line"), str(path)).to_toml(), "utf-8")
    again = extract(load_experiment(load_recipe(recipe).experiment))
    assert load_recipe(recipe).differences(score(again, "line"), tolerance=0.0) == []
    command = [sys.executable, "-m", "ood_core", "benchmark", str(recipe)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sets = random_sets()
    sets["far"]["features"] = np.asarray(sets["far"]["features"]) * 3
    written(tmp_path / "rows", sets, head)
    other = score(extract(load_experiment(path)), "line")
    assert load_recipe(recipe).differences(other) != []

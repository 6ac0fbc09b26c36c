"""What the overview says that NAN and LINe gain: against the scores themselves."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ood_core
from ood_core import scoring
from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.metrics import auroc
from ood_core.models import ClassifierHead
from ood_core.scoring.gains import gain, table
from ood_core.views import showcase

NAMES = ("feature_norm", "negative_aware_norm", "line", "energy")


@pytest.fixture
def digits(digits_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    return ood_core.prepared(ood_core.load_experiment("digits"))


@pytest.fixture
def scores(digits: Any) -> dict[str, scoring.ScoreSet]:
    return {name: scoring.score(digits, name) for name in NAMES}


def test_gains_are_differences_of_the_aurocs_that_pages_show(scores) -> None:
    found = showcase.gains(scores)
    assert [(g.detector, g.against) for g in found] == list(showcase.PAIRS)
    for g in found:
        for name, d in g.differences.items():
            ours, theirs = (scores[n].evaluate(name).auroc for n in (g.detector, g.against))
            assert d.value == pytest.approx(ours - theirs, abs=1e-12)
            assert d.low <= d.value <= d.high
            assert (name in g.ahead, name in g.behind) == (d.low > 0, d.high < 0)
    rows = table(found)
    assert len(rows) == 18
    assert np.allclose(rows["difference"], rows["auroc"] - rows["auroc_against"], atol=1e-12)


def test_a_gain_needs_both_scores(scores) -> None:
    del scores["line"], scores["feature_norm"]
    (found,) = showcase.gains(scores)
    assert (found.detector, found.against) == ("negative_aware_norm", "energy")


def test_every_number_of_the_remarks_is_measured(digits, scores) -> None:
    found = showcase.gains(scores)
    nan, line, energy = showcase.remarks(digits, scores, found)
    active = (digits["test"].features > 0).sum(1).mean()
    there = (digits["held-out"].features > 0).sum(1).mean()
    assert nan.title.endswith(f"{100 * found[0].mean:+.1f} points of AUROC")
    assert f"active ones: {active:.1f} of 256 on ID images" in nan.text
    most = 100 * found[0].differences["held-out"].value
    assert f"Best on held-out {most:+.1f} ({there:.1f} active)" in nan.text
    assert f"better on {len(found[0].ahead)} of them and worse on 0 beyond chance" in nan.text

    clip_only = [
        auroc(*(np.log(np.exp(_clipped(digits, s)).sum(1)) for s in ("test", name)))
        for name in scores["energy"].ood
    ]
    step = 100 * (np.mean(clip_only) - np.mean(list(found[1].auroc_against.values())))
    assert f"Clipping activations at 1 gives {step:+.1f}" in line.text.replace("−", "-")
    assert "keeping 26 of 256 neurons" in line.text
    assert f"{100 * np.mean(list(found[2].auroc.values())):.2f} % against" in energy.text


def _clipped(acts: Any, name: str) -> np.ndarray:
    h = np.minimum(acts[name].features.astype(np.float64), 1.0)
    return h @ acts.head.weight.T + acts.head.bias


def test_what_lies_above_id_is_said_with_its_reason(digits, scores) -> None:
    (found,) = showcase.above_id(digits, scores["negative_aware_norm"])
    e = scores["negative_aware_norm"].evaluate("rotated")
    assert found.title == f"rotated scores above ID (AUROC {100 * e.auroc:.2f} %)"
    share = np.mean(digits["rotated"].logits.argmax(1) == 4)
    norms = [np.abs(digits[s].features).sum(1).mean() for s in ("rotated", "test")]
    usual = np.mean(digits["test"].logits.argmax(1) == 4)
    said = f"{100 * share:.0f} % of its images are classified as 4 ({100 * usual:.0f} % of the ID"
    assert said in found.text
    assert f"stronger than those of ID images: mean L1 norm {norms[0]:.1f} against" in found.text
    assert f"against {norms[1]:.1f}. What rewards strength" in found.text
    assert "fewer units" not in found.text
    assert showcase.above_id(digits, scoring.score(digits, "ssd")) == ()


def _scores(known: np.ndarray, unknown: np.ndarray) -> scoring.ScoreSet:
    detector = make_detector("feature_norm")
    return scoring.ScoreSet(
        "feature_norm", {}, "penultimate", "fit", "test", known, {"ood": unknown}, 0.0, (), "k",
        detector,
    )  # fmt: skip


def _acts(known: np.ndarray, unknown: np.ndarray) -> Any:
    class Acts(dict):
        experiment = SimpleNamespace(test_set="test", ood_sets=("ood",))
        head = ClassifierHead(np.eye(4), np.zeros(4), ("a", "b", "c", "d"))

    rng = np.random.default_rng(1)
    sets = {"test": known, "ood": unknown}
    return Acts({k: Activations.from_arrays(h, rng.normal(0, 1, h.shape)) for k, h in sets.items()})


def test_fewer_active_units_than_on_id_images_are_named_as_what_lifts_a_set() -> None:
    rng = np.random.default_rng(0)
    few = rng.uniform(0.4, 0.6, (80, 4))
    few[:, 1:] = 0
    acts = _acts(rng.uniform(0, 0.6, (80, 4)) * (rng.random((80, 4)) < 0.8), few)
    nan, norm = (_of(acts, name) for name in ("negative_aware_norm", "feature_norm"))
    (fooled,) = showcase.above_id(acts, nan)
    assert "fewer units than ID images (1.0 against" in fooled.text
    text = showcase._why_nan(acts, gain(nan, norm), nan, norm)
    assert "On ood: 1.0 active. Fewer active units than on ID images" in text
    assert "dividing lifts ood" in text


def test_a_set_above_id_without_a_reason_gives_the_numbers() -> None:
    rng = np.random.default_rng(0)
    acts = _acts(rng.uniform(1, 2, (80, 4)), rng.uniform(0.5, 1, (80, 4)))
    even = np.zeros((80, 4))
    acts |= {k: Activations.from_arrays(a.features, even) for k, a in acts.items()}
    upside_down = _scores(np.arange(80.0), np.arange(80.0) + 100)
    (fooled,) = showcase.above_id(acts, upside_down)
    norms = [acts[s].features.sum(1).mean() for s in ("ood", "test")]
    assert f"Neither its strength (mean L1 norm {norms[0]:.1f}, ID {norms[1]:.1f})" in fooled.text


def _of(acts: Any, name: str) -> scoring.ScoreSet:
    detector = make_detector(name).fit(acts["test"])
    known, unknown = (detector.score_samples(acts[s]) for s in ("test", "ood"))
    return dataclasses.replace(_scores(known, unknown), detector=name)


def test_one_set_and_no_difference() -> None:
    known, unknown = np.arange(30.0), np.arange(-10.0, 20.0)
    found = gain(_scores(known, unknown), _scores(known, unknown))
    assert (found.mean, found.ahead, found.behind) == (0.0, (), ())
    assert found.most == found.least == "ood"
    assert "±0.0 points" in showcase._title(found)
    assert showcase._counts(found).endswith("% on ood, within chance.")


def test_where_no_unit_is_ever_off_nan_says_that_it_divides_by_a_constant() -> None:
    rng = np.random.default_rng(0)
    acts = _acts(rng.uniform(1, 2, (50, 4)), rng.uniform(0.5, 1, (50, 4)))
    nan, norm = (_of(acts, name) for name in ("negative_aware_norm", "feature_norm"))
    text = showcase._why_nan(acts, gain(nan, norm), nan, norm)
    assert "(4.0 ± 0.0 of 4 on ID images), so NAN is the norm divided by a constant" in text


def test_units_off_on_ood_images_alone_are_no_constant() -> None:
    rng = np.random.default_rng(0)
    few = rng.uniform(0.5, 1, (50, 4)) * [1, 1, 0, 0]
    acts = _acts(rng.uniform(1, 2, (50, 4)), few)
    nan, norm = (_of(acts, name) for name in ("negative_aware_norm", "feature_norm"))
    text = showcase._why_nan(acts, gain(nan, norm), nan, norm)
    assert "constant" not in text
    assert "4.0 of 4 on ID images. On ood: 2.0 active." in text


def test_a_loss_within_chance_is_not_explained() -> None:
    acts = _acts(np.tile([1.0, 1, 1, 0], (8, 1)), np.tile([1.0, 1, 0, 0], (1, 1)))
    nan, norm = (_of(acts, name) for name in ("negative_aware_norm", "feature_norm"))
    found = gain(nan, norm)
    assert found.differences["ood"].value < 0
    assert "lifts" not in showcase._why_nan(acts, found, nan, norm)


def test_remarks_speak_of_what_the_experiments_own_parameters_read(digits) -> None:
    scores = {
        "negative_aware_norm": scoring.score(digits, "nan", {"pool": "flat"}, "block1"),
        "feature_norm": scoring.score(digits, "feature_norm", {"p": 2.0}),
        "line": scoring.score(digits, "line", {"p_w": 25.0, "p_a": 0.0, "clip": 1e9}),
        "energy": scoring.score(digits, "energy", {"temperature": 50.0}),
    }
    found = showcase.gains(scores)
    nan, line, energy = showcase.remarks(digits, scores, found)
    record = digits["test"].layer("block1")
    assert f"{record.l0.mean():.1f} of {record.n_units:,} units active" in nan.text
    assert "NAN of block1 (flat) against L2 norm of penultimate (gap)" in nan.text
    assert "divides it by" not in nan.text
    assert "Clipping activations at 1e+09 gives ±0.0" in line.text
    assert "75 % of the weights" in line.text
    assert "masks and temperature 1" in line.text
    assert ("is worth" in energy.text) == (found[2].mean < 0)


def test_a_class_that_id_images_are_called_too_explains_nothing() -> None:
    rng = np.random.default_rng(0)
    acts = _acts(rng.uniform(0, 1, (80, 4)), rng.uniform(0, 1, (80, 4)))
    called_b = np.tile([0.0, 20, 0, 0], (80, 1))
    acts |= {k: Activations.from_arrays(a.features, called_b) for k, a in acts.items()}
    upside_down = _scores(np.arange(80.0), np.arange(80.0) + 100)
    (fooled,) = showcase.above_id(acts, upside_down)
    assert "of its images are classified as" not in fooled.text


def test_strength_that_rounds_to_the_same_is_not_called_stronger() -> None:
    known = np.tile([1.0, 2, 3, 4], (80, 1))
    acts = _acts(known, known + 1e-6)
    upside_down = _scores(np.arange(80.0), np.arange(80.0) + 100)
    (fooled,) = showcase.above_id(acts, upside_down)
    assert "stronger" not in fooled.text


def test_the_same_difference_on_every_set_has_no_best_and_worst() -> None:
    known, unknown = np.arange(30.0), np.arange(-10.0, 20.0)
    both = dataclasses.replace(_scores(known, unknown), ood={"a": unknown, "b": unknown})
    found = gain(both, both)
    assert showcase._ends(found) == "The difference is the same on every set: ±0.0."


def test_a_constant_on_id_images_alone_does_not_excuse_what_unknown_images_lose() -> None:
    rng = np.random.default_rng(0)
    few = rng.uniform(0.4, 0.6, (80, 4))
    few[:, 1:] = 0
    acts = _acts(rng.uniform(0.1, 0.6, (80, 4)), few)
    nan, norm = (_of(acts, name) for name in ("negative_aware_norm", "feature_norm"))
    found = gain(nan, norm)
    assert found.behind == ("ood",)
    text = showcase._why_nan(acts, found, nan, norm)
    assert "dividing lifts ood" in text
    assert "constant" not in text

"""LINe under sliders gives exactly what a freshly fitted LINe gives."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.errors import ConfigError, DataError, StoppedError
from ood_core.metrics import auroc, fpr_at_tpr
from ood_core.models import ClassifierHead
from ood_core.neurons import LineLab
from tests.neurons.oracles import rates_without

C, D = 6, 30
RNG = np.random.default_rng(8)
HEAD = ClassifierHead(RNG.normal(size=(C, D)), RNG.normal(size=C))


def _acts(n: int, shift: float, *, labels: bool = False, logits: bool = True) -> Activations:
    h = np.maximum(RNG.normal(shift, 1, size=(n, D)), 0).astype(np.float32)
    z = HEAD.logits(h) if logits else None
    return Activations.from_arrays(h, z, np.arange(n) % C if labels else None)


ACTS = {"fit": _acts(120, 0.4, labels=True), "test": _acts(90, 0.4),
        "near": _acts(70, 0.2), "far": _acts(40, -0.2, logits=False)}  # fmt: skip


def _lab(*ood: str) -> LineLab:
    return LineLab(ACTS["fit"], ACTS, "test", ood or ("near", "far"), HEAD)


SETTINGS = [(90, 90, 1.0), (10, 90, 1.0), (10, 10, 0.5), (0, 0, 1e5), (35, 90, 1.0)]


def test_one_lab_moved_through_settings_equals_fresh_detectors() -> None:
    lab = _lab()
    for p_a, p_w, clip in SETTINGS:
        got = lab.rescore(p_a, p_w, clip)
        line = make_detector("line", p_a=p_a, p_w=p_w, clip=clip).fit(ACTS["fit"], HEAD)
        energy = make_detector("energy").fit(ACTS["fit"], HEAD)
        for row in got.rates.itertuples():
            for detector, a, f in (
                (line, row.auroc, row.fpr95),
                (energy, row.energy_auroc, row.energy_fpr95),
            ):
                ood = ACTS[row.ood_set]
                if ood.logits is None and detector is energy:
                    ood = Activations.from_arrays(ood.features, HEAD.logits(ood.features))
                x, y = detector.score_samples(ACTS["test"]), detector.score_samples(ood)
                np.testing.assert_allclose(a, auroc(x, y), atol=1e-12)
                np.testing.assert_allclose(f, fpr_at_tpr(x, y), atol=1e-12)
        scores = line.score_samples(ACTS["test"])
        np.testing.assert_allclose(got.thresholds["line"], np.sort(scores)[90 - 86], rtol=1e-12)
        np.testing.assert_allclose(got.line["test"].values, np.sort(scores), rtol=1e-12)
        assert not got.is_preview


def test_removed_is_the_published_mask_of_each_class() -> None:
    lab = _lab()
    for p_a, p_w in ((90, 90), (10, 50)):
        removed = lab.removed(p_a, p_w)
        for c in range(C):
            contrib = lab.contributions[c]
            units = contrib > np.percentile(contrib, p_a)
            m = np.abs(contrib)[None] * HEAD.weight
            weights = m > np.percentile(m, p_w)
            np.testing.assert_array_equal(removed[c], ~(units & weights[c]))


def test_rerouted_counts_images_whose_class_changes_by_clipping() -> None:
    h = ACTS["test"].features.astype(float)
    for clip in (0.4, 1e5):
        before = [int(np.argmax(HEAD.weight @ row + HEAD.bias)) for row in h]
        after = [int(np.argmax(HEAD.weight @ np.minimum(row, clip) + HEAD.bias)) for row in h]
        want = sum(a != b for a, b in zip(before, after, strict=True)) / len(h)
        assert _lab().rescore(90, 90, clip).rerouted == pytest.approx(want)


@pytest.mark.parametrize("warm", [False, True])
def test_preview_is_the_same_score_on_fewer_images(warm: bool) -> None:
    lab = _lab()
    if warm:
        lab.rescore(90, 90, 1.0)
    preview = lab.rescore(90, 90, 1.0, limit=25)
    assert preview.is_preview
    assert (preview.n_scored, preview.n_total) == (75, 200)
    line = make_detector("line").fit(ACTS["fit"], HEAD)
    index = {s: np.linspace(0, len(ACTS[s]) - 1, 25).astype(int) for s in ("test", "near", "far")}
    a, b = (line.score_samples(ACTS[s])[index[s]] for s in ("test", "far"))
    np.testing.assert_allclose(preview.rates["auroc"][1], auroc(a, b), atol=1e-12)


@pytest.mark.parametrize("drop", [[3], [0, 5, 7, 11, 20]])
def test_without_neurons_equals_scoring_the_smaller_network(drop: list[int]) -> None:
    lab, gone = _lab(), np.array(drop)
    for p_a, p_w, clip in SETTINGS[:3]:
        got = lab.rescore(p_a, p_w, clip, drop=gone).rates
        detectors = {"line": lab.detector(p_a, p_w, clip),
                     "energy": make_detector("energy").fit(ACTS["fit"], HEAD)}  # fmt: skip
        before = lab.rescore(p_a, p_w, clip).rates
        shown = {name: ACTS[name] for name in ("test", "near", "far")}
        for name, prefix in (("line", ""), ("energy", "energy_")):
            columns = [f"{prefix}auroc", f"{prefix}fpr95"]
            for found, dropped in ((got, gone), (before, np.array([], int))):
                want = rates_without(shown, HEAD, detectors[name], dropped)
                np.testing.assert_allclose(found[columns], want, atol=1e-12)


def test_detector_equals_a_fresh_one_and_results_are_kept() -> None:
    lab = _lab()
    for p_a, p_w, clip in SETTINGS:
        fresh = make_detector("line", p_a=p_a, p_w=p_w, clip=clip).fit(ACTS["fit"], HEAD)
        mine = lab.detector(p_a, p_w, clip)
        assert mine.get_params() == fresh.get_params()
        a, b = (d.score_samples(ACTS["near"]) for d in (mine, fresh))
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert lab.known(90, 90, 1.0) is None
    result = lab.rescore(90, 90, 1.0)
    assert lab.known(90, 90, 1.0) is result
    np.testing.assert_allclose(result.mean["auroc"], result.rates["auroc"].sum() / 2)
    assert lab.clip_high == 5


def test_progress_is_told_and_a_stop_is_honoured() -> None:
    seen: list[str] = []
    _lab().rescore(50, 50, 1.0, progress=lambda p: seen.append(p.stage))
    assert {"LINe masks", "LINe scores"} <= set(seen)
    with pytest.raises(StoppedError, match="stopped at"):
        _lab().rescore(50, 50, 1.0, should_stop=lambda: True)


def test_only_large_shapes_are_called_slow() -> None:
    assert not _lab().is_slow
    assert 32 <= _lab().preview_size <= 2000


def test_errors() -> None:
    with pytest.raises(DataError, match="choose at least one OOD set"):
        LineLab(ACTS["fit"], ACTS, "test", (), HEAD)
    with pytest.raises(DataError, match="needs labels for the fit set"):
        LineLab(ACTS["near"], ACTS, "test", ("far",), HEAD)
    with pytest.raises(ConfigError, match="'p_a' must be"):
        _lab().rescore(101, 90, 1.0)

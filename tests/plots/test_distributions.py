"""The histogram figure shows the exact counts, the threshold, uploads and outer bins."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.errors import ConfigError
from ood_core.metrics.counts import summarize
from ood_core.plots.distributions import histogram
from ood_core.plots.theme import ID_COLOUR, OOD_COLOURS

RNG = np.random.default_rng(0)
KNOWN = summarize(RNG.normal(2, 1, 50_000))
OOD = {
    "near": summarize(RNG.normal(1, 1, 40_000)),
    "far": summarize(np.r_[RNG.normal(0, 1, 999), -np.inf]),
}


def traces(figure):
    return {t.name: t for t in figure.data}


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("unit", ["density", "counts"])
@pytest.mark.parametrize("pooled", [False, True])
def test_every_style_shows_every_image(log, unit, pooled):
    figure = histogram(KNOWN, OOD, log=log, unit=unit, pooled=pooled)
    names = ["OOD sets pooled", "ID"] if pooled else ["near", "far", "ID"]
    assert [t.name for t in figure.data] == names
    for trace in figure.data:
        assert len(trace.x) < 100
        if not log:
            width = trace.x[2] - trace.x[1]
            total = np.sum(trace.y) * (width if unit == "density" else 1)
            expected = (
                1
                if unit == "density"
                else {"near": 40_000, "far": 1000, "ID": 50_000}.get(trace.name, 41_000)
            )
            np.testing.assert_allclose(total, expected)
        else:
            assert np.min(trace.y) > 0
    assert figure.layout.title.text
    assert figure.layout.xaxis.title.text.startswith("score (higher = more in-distribution)")
    assert figure.layout.yaxis.title.text
    assert len(figure.to_json()) < 60_000


def test_colours_threshold_markers_and_the_bar_of_minus_infinity():
    figure = histogram(
        KNOWN, OOD, threshold=0.5, markers={"a.png": 1.0, "b.png": -np.inf},
        colours={"far": "#123456"}, score_name="NAN",
    )  # fmt: skip
    shown = traces(figure)
    assert shown["ID"].line.color == ID_COLOUR
    assert (shown["near"].line.color, shown["far"].line.color) == (OOD_COLOURS[0], "#123456")
    assert "1 of 1,000 images (0.10 %)" in shown["far"].text[1]
    assert "−inf" in shown["far"].text[1]
    assert figure.layout.shapes[0].x0 == 0.5
    uploaded = shown["uploaded"]
    assert uploaded.x[0] == 1.0
    assert uploaded.x[1] == shown["far"].x[1]
    assert "b.png" in uploaded.text[1]
    assert "of them −inf" in figure.layout.xaxis.title.text
    assert figure.layout.title.text == "NAN: ID against near, far"


def test_infinite_threshold_draws_no_line():
    assert not histogram(KNOWN, OOD, threshold=-np.inf).layout.shapes


def test_unknown_unit():
    with pytest.raises(ConfigError, match=r"unit must be one of \['counts', 'density'\], got 'x'"):
        histogram(KNOWN, OOD, unit="x")

"""The one threshold of a page: its mode, its controls, and what it does."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from ood_core import thresholds
from pages.components.kit import state

if TYPE_CHECKING:
    from ood_core.scoring import ScoreSet
    from ood_core.thresholds import Accepted, OperatingPoint, Sample

__all__ = ["MODES", "at_text", "choose_point", "controls", "keep_moved", "sentences"]

MODES = {
    "tpr": "ID acceptance",
    "fpr": "OOD acceptance",
    "cost": "Cost",
    "conformal": "Conformal",
    "free": "Free",
}
_HELP = """How the threshold is chosen.
**ID acceptance**: the highest threshold that accepts this share of ID images.
**OOD acceptance**: the lowest that accepts at most this share of OOD images.
**Cost**: the least expected cost, given what a wrong acceptance costs and how common OOD is.
**Conformal**: at most this share of new ID images rejected, guaranteed for any distribution.
**Free**: set by the slider, or by dragging the line."""

# Mode -> (key, label, lowest, highest, default, step); shares in percent.
_INPUTS: dict[str, list[tuple[str, str, float, float, float, float]]] = {
    "tpr": [("tpr", "ID accepted, at least %", 0.1, 100.0, 95.0, 0.5)],
    "fpr": [("fpr", "OOD accepted, at most %", 0.0, 99.9, 5.0, 0.5)],
    "cost": [
        ("cost_ratio", "OOD accepted costs ×", 0.01, 1000.0, 1.0, 0.5),
        ("prevalence", "Share of OOD in use, %", 0.0, 100.0, 100 * thresholds.PREVALENCE, 1.0),
    ],
    "conformal": [("alpha", "ID rejected, at most %", 0.1, 50.0, 5.0, 0.5)],
    "free": [],
}

_UNSAID = 10.0
"""Percent of OOD images that the address of a cost means where it does not say: it was the default
of this page while addresses left it out."""


def choose_point(
    scores: ScoreSet, low: float, high: float
) -> tuple[OperatingPoint, OperatingPoint | None]:
    """Operating point of the visitor's mode, and the same rule chosen on one half and counted on
    the other (None where there is no such rule).

    Sets up `threshold`, `threshold_mode` and the mode's inputs for `controls`. A threshold set by
    hand keeps its ID acceptance when the scores change, because its value means nothing then.
    """
    if state.pasted("threshold") and not state.pasted("threshold_mode"):
        state.put("threshold_mode", "free")  # an address with a threshold means that one
    unsaid = state.pasted("threshold_mode") and not state.known("prevalence")
    mode = state.choose("threshold_mode", list(MODES), "tpr")
    if mode == "cost" and unsaid:
        state.put("prevalence", _UNSAID)
    sample = scores.sample()
    values = [state.number(*_without_label(field)) for field in _INPUTS[mode]]
    if mode == "free":
        point = thresholds.at_threshold(sample, threshold=_free(scores, sample, low, high))
        check = None
    else:
        rule = _rule(mode, values)
        halves = scores.halves()
        check = rule(halves.calibration, count_on=halves.evaluation)
        point = rule(sample)
        state.forget("threshold")
        st.session_state["threshold"] = min(max(point.threshold, low), high)
    st.session_state["_held"] = (scores.key, point.tpr)
    st.session_state["_seq"] = time.time()  # a later message wins in the browser
    return point, check


def controls(low: float, high: float) -> None:
    """Slider, mode and the mode's inputs, in one row. Call `choose_point` before."""
    mode = st.session_state["threshold_mode"]
    inputs = _INPUTS[mode]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.slider(
            "Threshold",
            low,
            high,
            key="threshold",
            step=(high - low) / 1000,
            format="%.4g",
            on_change=_to_free,
            help="Accepted as ID: score ≥ threshold. Moving it sets Free.",
        )
        st.selectbox(
            "Threshold by",
            list(MODES),
            key="threshold_mode",
            format_func=MODES.__getitem__,
            help=_HELP,
            width=190,
        )
        for key, label, lowest, highest, _, step in inputs:
            st.number_input(label, lowest, highest, key=key, step=step, width=190)


def at_text(point: OperatingPoint) -> str:
    """The threshold rule in one line, as `score --at` and recipes take it."""
    mode = st.session_state["threshold_mode"]
    if mode == "free":
        return f"threshold={point.threshold!r}"
    values = [float(st.session_state[field[0]]) for field in _INPUTS[mode]]
    if mode == "cost":
        return f"cost={values[0]:.10g},prevalence={values[1] / 100:.10g}"
    return f"{'alpha' if mode == 'conformal' else mode}={values[0] / 100:.10g}"


def keep_moved(value: float) -> None:
    """Take a threshold that was set by dragging."""
    state.put("threshold", float(value))
    _to_free()


def sentences(point: OperatingPoint, check: OperatingPoint | None) -> tuple[str, str]:
    """On which images the threshold was chosen, and what it did on others ("" where free)."""
    if check is None:
        return f"{point.how} ID accepted {_rate(point.id)}; OOD accepted {_pooled(point)}.", ""
    seen = "(chosen on one half of each set, counted on the other)"
    return point.how, f"{seen}: ID accepted {_rate(check.id)}, OOD accepted {_pooled(check)}."


def _free(scores: ScoreSet, sample: Sample, low: float, high: float) -> float:
    held = st.session_state.get("_held")
    if held and held[0] != scores.key and not state.pasted("threshold"):
        moved = thresholds.at_tpr(sample, tpr=min(max(held[1], 1e-6), 1.0)).threshold
        st.session_state["threshold"] = min(max(moved, low), high)
    start = thresholds.at_tpr(sample, tpr=0.95).threshold
    return state.number("threshold", low, high, min(max(start, low), high))


def _rule(mode: str, values: list[float]) -> Callable[..., OperatingPoint]:
    """Rule that takes a `Sample`, and `count_on`."""
    if mode == "tpr":
        return partial(thresholds.at_tpr, tpr=values[0] / 100)
    if mode == "fpr":
        return partial(thresholds.at_fpr, fpr=values[0] / 100)
    if mode == "cost":
        return partial(thresholds.at_cost, cost_ratio=values[0], prevalence=values[1] / 100)
    return partial(thresholds.conformal, alpha=values[0] / 100)


def _to_free() -> None:
    state.put("threshold_mode", "free")


def _without_label(
    field: tuple[str, str, float, float, float, float],
) -> tuple[str, float, float, float]:
    key, _, low, high, default, _ = field
    return key, low, high, default


def _rate(accepted: Accepted) -> str:
    interval = f"[{100 * accepted.low:.2f}, {100 * accepted.high:.2f}]"
    return f"{100 * accepted.rate:.2f} % {interval} of {accepted.n:,}"


def _pooled(point: OperatingPoint) -> str:
    n = sum(a.n for a in point.ood.values())
    return "–" if math.isnan(point.fpr) else f"{100 * point.fpr:.2f} % of {n:,}"

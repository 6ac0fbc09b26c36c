"""The threshold workbench: one threshold moves histogram, curves, counts and galleries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ood_core.views.galleries import KINDS, Ranking, describe
from pages.components.charts import gallery, operating, payload, threshold
from pages.components.charts.checklist import remarks_html
from pages.components.kit import cache, state, words
from pages.components.kit.messages import told
from pages.components.kit.redraw import redraw
from pages.components.kit.view import View

if TYPE_CHECKING:
    from ood_core.scoring import ScoreSet
    from ood_core.thresholds import OperatingPoint
    from pages.components.kit.assets import JsonObject

__all__ = ["draw", "live_table", "threshold_histogram"]

CURVES = ("roc", "pr_id", "pr_ood")
FOLLOW = "follow_threshold"


def draw(view: View, scores: ScoreSet) -> None:
    """Draw the workbench.

    Histogram and curves hold all that they need: they are sent with the page and follow the
    threshold in the browser. A change of the threshold redraws only the fragment below them.
    """
    noted = st.container()
    known = payload.of(view, scores)
    point, _ = operating.choose_point(scores, *known.ends)
    between = _marked(scores, known.ends)
    with st.container(key="bench"):
        left, right = st.columns([7, 3], gap="medium")
        with left:
            threshold_histogram(known, point, between)
        with right:
            with st.container(horizontal=True, horizontal_alignment="right"):
                words.metric("AUROC", "FPR95", "interval")
            _curves(known, point)
    with noted:
        state.notes()
    above = st.container(gap=None)
    _follow(view, scores)
    with above:
        _why_above(view, scores)


@st.fragment(key=FOLLOW)
@told()
def _follow(view: View, scores: ScoreSet) -> None:
    known = payload.of(view, scores)
    point, check = operating.choose_point(scores, *known.ends)
    operating.controls(*known.ends)
    live_table(known, view, scores, point, check)
    _galleries(view, scores, point.threshold)
    state.notes()
    state.publish()


@told()
def _why_above(view: View, scores: ScoreSet) -> None:
    """Why an OOD set lies to the right of the ID images, where one does."""
    if remarks := view.above_id(scores):
        st.html(remarks_html(remarks))


def _marked(scores: ScoreSet, ends: tuple[float, float]) -> tuple[float, float] | None:
    """Range of scores that filters the galleries; it means nothing when the scores change."""
    if state.kept("range") and st.session_state.get("_range_of") != scores.key:
        state.forget("range")
    st.session_state["_range_of"] = scores.key
    return state.span("range", *ends)


def threshold_histogram(
    known: payload.Payload, point: OperatingPoint, between: tuple[float, float] | None = None
) -> None:
    """Histogram of ID and OOD scores with the threshold line to drag and a range to mark."""
    data = (
        known.histogram
        | _now(known, point)
        | {
            "range": between,
            "unit": state.choose("unit", ["density", "counts"], "density"),
            "scale": state.choose("scale", ["linear", "log"], "linear"),
            "sets_shown": state.choose("sets", ["each", "pooled"], "each"),
        }
    )
    threshold.histogram(
        "threshold_histogram",
        data,
        on_moved=_moved,
        on_selected=_select,
        on_drawn=_redrawn,
    )


def live_table(
    known: payload.Payload,
    view: View,
    scores: ScoreSet,
    point: OperatingPoint,
    check: OperatingPoint | None,
) -> None:
    """AUROC and FPR95 with intervals, what the threshold accepts per set, and how it was chosen."""
    rows = [_row(view, scores.id_name, point.id.n, True, [("", ""), ("", "")])]
    for name, accepted in point.ood.items():
        e = scores.evaluate(name)
        fixed = [
            (_percent(e.auroc), f"{100 * e.auroc_low:.2f}, {100 * e.auroc_high:.2f}"),
            (_percent(e.fpr95), f"{100 * e.fpr95_low:.2f}, {100 * e.fpr95_high:.2f}"),
        ]
        rows.append(_row(view, name, accepted.n, False, fixed))
    how, elsewhere = operating.sentences(point, check)
    data: JsonObject = {
        "columns": ["AUROC [95 % interval]", "FPR95, ID positive [95 % interval]"],
        "rows": rows,
        "how": how,
        "check": elsewhere,
    }
    threshold.table("threshold_table", data | _now(known, point))


def _now(known: payload.Payload, point: OperatingPoint) -> JsonObject:
    """Where the threshold is, and which of several messages about it is the newest."""
    return {
        "id": known.histogram["id"],
        "channel": known.histogram["channel"],
        "seq": st.session_state["_seq"],
        "threshold": min(max(point.threshold, known.ends[0]), known.ends[1]),
        "accepted": [point.id.count, *(a.count for a in point.ood.values())],
    }


def _curves(known: payload.Payload, point: OperatingPoint) -> None:
    kind = state.choose("curve", CURVES, "roc")
    data = known.curves | _now(known, point) | {"kind": kind}
    threshold.curves("threshold_curves", data, on_drawn=_redrawn)


def _galleries(view: View, scores: ScoreSet, at: float) -> None:
    ranking = cache.once(
        ("ranking", scores.key, tuple(scores.ood)),
        lambda: Ranking.of(scores.id_name, scores.id_scores, scores.ood),
    )
    between = state.kept("range") or None
    kind = state.choose("gallery", list(KINDS), "false_accepts")
    gallery.show(
        view,
        ranking.pick(kind, at, between),
        "threshold_gallery",
        detail=lambda rows: describe(
            rows, view.acts, view.acts.head, scores.summary(), view.class_names
        ),
        empty="None at this threshold" + (" in the marked range." if between else "."),
        tabs=[(k, KINDS[k], f"{ranking.count(k, at, between):,}") for k in KINDS],
        tab=kind,
        on_tab=_another_gallery,
    )


def _another_gallery(kind: str) -> None:
    state.put("gallery", kind)
    gallery.first_page()
    _redraw()


def _moved(value: float) -> None:
    operating.keep_moved(value)
    _redraw()


def _redrawn(choice: dict[str, str]) -> None:
    for name in ("unit", "scale", "sets", "curve"):
        if name in choice:
            state.put(name, choice[name])
    _redraw()


def _select(between: list[float]) -> None:
    if between:
        state.remember("range", [float(v) for v in between])
    else:
        state.forget("range")
    gallery.first_page()
    _redraw()


def _redraw() -> None:
    """Redraw what follows the threshold; from a callback."""
    redraw(FOLLOW)


def _row(view: View, name: str, n: int, is_id: bool, fixed: list[tuple[str, str]]) -> JsonObject:
    return {
        "name": view.label(name),
        "colour": view.colour(name),
        "n": n,
        "id": is_id,
        "fixed": fixed,
    }


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"

"""The threshold workbench: one threshold moves histogram, curves, counts and galleries."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.components import cache, explain, gallery, operating, payload, state, threshold
from pages.components.view import View

__all__ = ["draw", "live_table", "threshold_histogram"]

CURVES = ("roc", "pr_id", "pr_ood")


@st.fragment
def draw(view: View, scores: Any) -> None:
    """Everything that follows the threshold, in one fragment."""
    noted = st.container()
    low, high = payload.of(view, scores).ends
    point, check = operating.choose_point(scores, low, high)
    with st.container(key="bench"):
        left, right = st.columns([7, 3], gap="medium")
        with left:
            threshold_histogram(view, scores, point)
        with right:
            _curves(view, scores, point)
    operating.controls(low, high)
    live_table(view, scores, point)
    with st.container(horizontal=True, wrap=False, gap="xsmall"):
        st.caption(operating.sentences(point, check), width="stretch")
        explain.metric("AUROC", "FPR95", "interval")
    _galleries(view, scores, point.threshold)
    with noted:
        state.notes()
    state.publish()


def threshold_histogram(view: View, scores: Any, point: Any) -> None:
    """Histogram of ID and OOD scores with the threshold line to drag."""
    known = payload.of(view, scores)
    data = known.histogram | {
        "threshold": min(max(point.threshold, known.ends[0]), known.ends[1]),
        "accepted": _accepted(point),
        "range": state.span("range", *known.ends),
        "unit": state.choose("unit", ["density", "counts"], "density"),
        "scale": state.choose("scale", ["linear", "log"], "linear"),
        "sets_shown": state.choose("sets", ["each", "pooled"], "each"),
    }
    threshold.histogram(
        "threshold_histogram",
        data,
        on_moved=operating.keep_moved,
        on_selected=_select,
        on_drawn=_redrawn,
    )


def live_table(view: View, scores: Any, point: Any) -> None:
    """AUROC and FPR95 with intervals, and what the threshold accepts, per image set."""
    rows = [_row(view, scores.id_name, point.id.n, True, [("", ""), ("", "")])]
    for name, accepted in point.ood.items():
        e = scores.evaluate(name)
        fixed = [
            (_percent(e.auroc), f"{100 * e.auroc_low:.2f}, {100 * e.auroc_high:.2f}"),
            (_percent(e.fpr95), f"{100 * e.fpr95_low:.2f}, {100 * e.fpr95_high:.2f}"),
        ]
        rows.append(_row(view, name, accepted.n, False, fixed))
    threshold.table(
        "threshold_table",
        {
            "channel": "scores",
            "columns": ["AUROC [95 % interval]", "FPR95, ID positive [95 % interval]"],
            "rows": rows,
            "accepted": _accepted(point),
        },
    )


def _curves(view: View, scores: Any, point: Any) -> None:
    known = payload.of(view, scores)
    kind = state.choose("curve", CURVES, "roc")
    data = known.curves | {"kind": kind, "accepted": _accepted(point)}
    threshold.curves("threshold_curves", data, on_drawn=_redrawn)


def _galleries(view: View, scores: Any, at: float) -> None:
    from ood_core.galleries import KINDS, Ranking, describe

    ranking = cache.once(
        ("ranking", scores.key, tuple(scores.ood)),
        lambda: Ranking.of(scores.id_name, scores.id_scores, scores.ood),
    )
    between = state.kept("range") or None
    counts = {kind: ranking.count(kind, at, between) for kind in KINDS}
    kind = state.choose("gallery", list(KINDS), "false_accepts")
    st.segmented_control(
        "Images",
        list(KINDS),
        key="gallery",
        label_visibility="collapsed",
        required=True,
        format_func=lambda k: f"{KINDS[k]} {counts[k]:,}",
    )
    gallery.show(
        view,
        ranking.pick(kind, at, between),
        f"gallery_{kind}",
        detail=lambda rows: describe(rows, view.acts, view.acts.head, scores.summary()),
        empty="None at this threshold" + (" in the marked range." if between else "."),
    )


def _redrawn(choice: dict[str, str]) -> None:
    for name in ("unit", "scale", "sets", "curve"):
        if name in choice:
            state.put(name, choice[name])


def _select(between: list[float]) -> None:
    if between:
        state.remember("range", [float(v) for v in between])
    else:
        state.forget("range")
    for key in [k for k in st.session_state if str(k).startswith("gallery_")]:
        if str(key).endswith("_page"):
            st.session_state[key] = 0


def _row(
    view: View, name: str, n: int, is_id: bool, fixed: list[tuple[str, str]]
) -> dict[str, Any]:
    label = f"{name} (ID)" if is_id else name
    return {"name": label, "colour": view.colour(name), "n": n, "id": is_id, "fixed": fixed}


def _accepted(point: Any) -> list[int]:
    return [point.id.count, *(a.count for a in point.ood.values())]


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"

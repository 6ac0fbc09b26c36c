"""The threshold workbench: one threshold moves histogram, curves, counts and galleries."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.components import cache, explain, figures, gallery, operating, state, threshold
from pages.components.view import View

__all__ = ["draw", "live_table", "threshold_histogram"]

HEIGHT = 310
CURVES = {"roc": "ROC", "pr_id": "PR (ID)", "pr_ood": "PR (OOD)"}


@st.fragment
def draw(view: View, scores: Any) -> None:
    """Everything that follows the threshold, in one fragment."""
    noted = st.container()
    low, high = _payload(view, scores)["ends"]
    point, check = operating.choose_point(scores, low, high)
    with st.container(key="bench"):
        left, right = st.columns([7, 3], gap="medium")
        with left:
            threshold_histogram(view, scores, point)
        with right:
            _curves(view, scores, point)
    operating.controls(low, high)
    live_table(view, scores, point)
    st.caption(operating.sentences(point, check))
    _galleries(view, scores, point.threshold)
    with noted:
        state.notes()
    state.publish()


def threshold_histogram(view: View, scores: Any, point: Any) -> None:
    """Histogram of ID and OOD scores with the threshold line to drag."""
    payload = _payload(view, scores)
    data = payload["browser"] | {
        "threshold": _finite(point.threshold, *payload["ends"]),
        "accepted": [point.id.count, *(a.count for a in point.ood.values())],
        "range": state.span("range", *payload["ends"]),
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
            "accepted": [point.id.count, *(a.count for a in point.ood.values())],
        },
    )


def _payload(view: View, scores: Any) -> dict[str, Any]:
    """What the browser gets of these scores, made once: bins and cumulative counts."""

    def make() -> dict[str, Any]:
        from ood_core.histograms import bin_scores, cumulative_counts
        from ood_core.plots.theme import OOD_COLOURS

        sample = scores.sample()
        sets = {scores.id_name: sample.id, **sample.ood}
        bins = bin_scores(sample.id, sample.ood, 96, scores.id_name)
        counts = cumulative_counts(sets, bins)
        title = cache.detector_titles().get(scores.detector, scores.detector)
        browser = {
            "id": f"{scores.key}/{','.join(scores.ood)}",
            "channel": "scores",
            "name": f"{scores.detector}-scores",
            "height": HEIGHT,
            "x_title": f"{title} score (higher = more in-distribution)",
            "alt": f"Histogram of {title} scores: {', '.join(sets)}",
            "note": bins.note,
            "underflow": bins.underflow,
            "overflow": bins.overflow,
            "edges": bins.edges.tolist(),
            "grid": counts.thresholds.tolist(),
            "pooled_colour": OOD_COLOURS[0],
            "sets": [
                {
                    "name": f"{name} (ID)" if name == scores.id_name else name,
                    "colour": view.colour(name),
                    "n": len(summary),
                    "id": name == scores.id_name,
                    "bins": bins.counts[name].tolist(),
                    "accepted": counts.accepted[name].tolist(),
                }
                for name, summary in sets.items()
            ],
        }
        return {"ends": (float(bins.edges[0]), float(bins.edges[-1])), "browser": browser}

    return cache.once(("threshold payload", scores.key, tuple(scores.ood)), make)


def _curves(view: View, scores: Any, point: Any) -> None:
    from ood_core.plots import roc

    kind = state.choose("curve", list(CURVES), "roc")
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.segmented_control(
            "Curve",
            list(CURVES),
            key="curve",
            format_func=CURVES.get,
            label_visibility="collapsed",
            required=True,
        )
        explain.metric("AUROC", "FPR95", "interval")
    sample = scores.sample()
    colours = {name: view.colour(name) for name in sample.ood}
    if kind == "roc":
        fig = roc.roc(sample.id, sample.ood, point=point, colours=colours)
    else:
        positive = kind.removeprefix("pr_")
        fig = roc.pr(sample.id, sample.ood, positive=positive, point=point, colours=colours)
    title = fig.layout.title.text.replace(" (", "<br>(", 1)
    fig.update_layout(
        title={"text": title, "font_size": 12},
        margin={"l": 44, "r": 4, "t": 46},
        legend_font_size=10,
    )
    figures.show(fig, f"scores_{kind}", name=f"{scores.detector}-{kind}", height=HEIGHT)


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
    for name in ("unit", "scale", "sets"):
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


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _finite(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)

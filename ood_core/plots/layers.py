"""Figures over depth: how well norms, NAN and sparsity separate, and how mixed the units are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ood_core.layers import LAYER_SCORES
from ood_core.plots.framing import GREY, framed, room
from ood_core.plots.theme import ACCENT, DIVERGING, SEQUENTIAL

__all__ = [
    "METRIC_TITLES",
    "SCORE_TITLES",
    "depth_curves",
    "depth_heatmap",
    "entropy_curves",
]

SCORE_TITLES = {
    "negative_aware_norm": "NAN",
    "l1": "L1 norm",
    "l2": "L2 norm",
    "sparsity": "Sparsity",
}
_MOST_NAMES = 16
_SIDE_BY_SIDE = 36
"""Letters of all names that stand side by side below the narrowest figure."""
METRIC_TITLES = {"auroc": "AUROC", "fpr95": "FPR95"}
_LINES = {
    "negative_aware_norm": {"color": ACCENT, "width": 3},
    "l1": {"color": GREY, "width": 2},
    "l2": {"color": GREY, "width": 1.5, "dash": "dash"},
    "sparsity": {"color": GREY, "width": 1.5, "dash": "dot"},
}
_MARKERS = {"negative_aware_norm": "circle", "l1": "square", "l2": "diamond", "sparsity": "x"}


def depth_curves(frame: pd.DataFrame, metric: str = "auroc", layer: str | None = None) -> go.Figure:
    """Curves of each score over depth, from the rows of one OOD set (or the mean).

    Each point carries its layer's name, so that a click on it can go there.
    """
    figure = go.Figure()
    for score in reversed(LAYER_SCORES):
        rows = frame[frame["score"] == score].sort_values("depth")
        figure.add_scatter(
            x=rows["depth"],
            y=100 * rows[metric],
            customdata=rows["layer"],
            name=SCORE_TITLES[score],
            mode="lines+markers",
            line=_LINES[score],
            marker={"symbol": _MARKERS[score], "size": 8 if score == "negative_aware_norm" else 6},
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            hovertemplate="%{customdata}: %{y:.2f} %<extra>" + SCORE_TITLES[score] + "</extra>",
        )
    if layer is not None and (frame["layer"] == layer).any():
        depth = int(frame.loc[frame["layer"] == layer, "depth"].iloc[0])
        figure.add_vline(depth, line={"color": GREY, "width": 1, "dash": "dot"})
    against = str(frame["ood_set"].iloc[0])
    what = "mean over the OOD sets" if against == "mean" else against
    better = "higher is better" if metric == "auroc" else "lower is better, ID positive"
    figure.update_layout(
        framed(
            f"{METRIC_TITLES[metric]} by layer: ID against {what}",
            330,
            len(LAYER_SCORES),
            yaxis={"title": f"{METRIC_TITLES[metric]}, % ({better})", "zeroline": False},
            legend_traceorder="reversed",
            clickmode="event+select",
        )
    )
    _name_layers(figure, frame)
    return figure


def depth_heatmap(
    frame: pd.DataFrame,
    score: str = "negative_aware_norm",
    metric: str = "auroc",
    layer: str | None = None,
) -> go.Figure:
    """One cell per OOD set and layer; `score` is one of LAYER_SCORES or "gain" (NAN minus L1)."""
    wide, title = _cells(frame, score, metric)
    gain = score == "gain"
    bound = float(max(np.abs(wide.to_numpy()).max(), 1e-9))
    depths = [int(d) for d in wide.columns]
    names = dict(zip(frame["depth"], frame["layer"], strict=True))
    text = _cell_text(wide, gain)
    figure = go.Figure(
        go.Heatmap(
            x=depths,
            y=list(wide.index),
            z=wide.to_numpy(np.float32),
            colorscale=DIVERGING if gain else SEQUENTIAL,
            reversescale=not gain and metric == "fpr95",
            zmin=-bound if gain else None,
            zmax=bound if gain else None,
            text=text,
            texttemplate="%{text}" if len(depths) <= 16 else None,
            xgap=1,
            ygap=1,
            colorbar={"title": "points" if gain else "%", "thickness": 10},
            hoverinfo="skip",
        )
    )
    _click_targets(figure, wide, names, "points" if gain else "%")
    if layer in names.values():
        depth = next(d for d, name in names.items() if name == layer)
        figure.add_vrect(depth - 0.5, depth + 0.5, line={"color": GREY, "width": 2})
    figure.update_layout(
        framed(
            title,
            330,
            left=wide.index,
            right=64,
            yaxis={"title": "OOD set", "type": "category", "autorange": "reversed"},
            clickmode="event+select",
        )
    )
    _name_layers(figure, frame)
    return figure


def entropy_curves(
    frame: pd.DataFrame, colours: Mapping[str, str], pool: str, layer: str | None = None
) -> go.Figure:
    """Mean activation entropy by layer, one line per set."""
    figure = go.Figure()
    for name, colour in colours.items():
        rows = frame[(frame["set"] == name) & (frame["pool"] == pool)].sort_values("depth")
        figure.add_scatter(
            x=rows["depth"],
            y=rows["entropy"],
            customdata=rows["layer"],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            hovertemplate="%{customdata}: %{y:.3f} nats<extra>" + name + "</extra>",
        )
    if layer is not None and (frame["layer"] == layer).any():
        depth = int(frame.loc[frame["layer"] == layer, "depth"].iloc[0])
        figure.add_vline(depth, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_layout(
        framed(
            "Mean activation entropy by layer: ID against OOD",
            300,
            len(colours),
            yaxis={"title": "entropy, nats (at most 0.693)", "range": [0, 0.73]},
        )
    )
    _name_layers(figure, frame)
    return figure


def _name_layers(figure: go.Figure, frame: pd.DataFrame) -> None:
    """Give the axis over depth the names of its layers, of every n-th where not all fit.

    Names that do not fit side by side are slanted, with room below for them and the title.
    """
    names = frame.drop_duplicates("depth").sort_values("depth")
    # From the last layer backwards: the penultimate one is always named.
    named = names.iloc[:: -max(1, -(-len(names) // _MOST_NAMES))].iloc[::-1]
    text = [n if len(n) <= 14 else "…" + n[-13:] for n in named["layer"]]
    axis = {"title": {"text": "layer, shallow to deep"}, "zeroline": False}
    slanted = sum(map(len, text)) > _SIDE_BY_SIDE
    below = round(4.6 * max(map(len, text))) if slanted else 0
    if slanted:
        axis |= {"tickangle": -45, "title_standoff": 4}
    figure.update_xaxes(tickvals=named["depth"].tolist(), ticktext=text, **axis)
    room(figure, "b", below)


def _cells(frame: pd.DataFrame, score: str, metric: str) -> tuple[pd.DataFrame, str]:
    def table(name: str) -> pd.DataFrame:
        rows = frame[frame["score"] == name]
        wide = rows.pivot(index="ood_set", columns="depth", values=metric)
        return 100 * wide.loc[list(dict.fromkeys(frame["ood_set"]))]

    title = METRIC_TITLES[metric]
    if score == "gain":
        wide = table("negative_aware_norm") - table("l1")
        return wide if metric == "auroc" else -wide, f"What NAN gains over the L1 norm in {title}"
    return table(score), f"{title} of {SCORE_TITLES[score]} by layer and OOD set"


def _cell_text(wide: pd.DataFrame, signed: bool) -> list[list[str]]:
    form = "{:+.1f}" if signed else "{:.1f}"
    return [
        [form.format(v + 0.0).replace("-", "−") for v in row] for row in wide.to_numpy().round(1)
    ]


def _click_targets(
    figure: go.Figure, wide: pd.DataFrame, names: Mapping[int, str], unit: str
) -> None:
    """Invisible markers over the cells: a heatmap itself reports no click to the page."""
    values = wide.to_numpy()
    cells = [
        (d, s, names[d], values[i, j])
        for i, s in enumerate(wide.index)
        for j, d in enumerate(int(d) for d in wide.columns)
    ]
    hidden = {"marker": {"opacity": 0}}
    figure.add_scatter(
        x=[c[0] for c in cells],
        y=[c[1] for c in cells],
        customdata=[c[2] for c in cells],
        text=[f"{c[1]} at {c[2]}: {c[3]:.2f} {unit}" for c in cells],
        mode="markers",
        marker={"size": 26, "symbol": "square", "opacity": 0},
        selected=hidden,
        unselected=hidden,
        hovertemplate="%{text}<extra></extra>",
    )

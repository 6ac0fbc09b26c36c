"""Figures of the hidden classifier and of what NAN adds, on the page Why it works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ood_core.plots.theme import ACCENT, GREY, ID_COLOUR, OOD_COLOURS, base_layout
from ood_core.theory.hidden_classifier import HiddenClassifier

__all__ = [
    "LEGEND_BELOW",
    "SCORE_LINES",
    "hidden_by_layer",
    "nan_gain",
    "norm_against_logit",
]

SCORE_LINES = {
    "negative_aware_norm": ("NAN", ACCENT, "solid", "circle"),
    "norm": ("L1 norm", GREY, "solid", "square"),
    "sparsity": ("Sparsity", GREY, "dot", "x"),
}
"""Score -> (title, colour, dash, symbol): NAN in the accent colour, what it is made of in grey."""
LEGEND_BELOW = {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0, "xanchor": "left"}
"""Legend under the axis title, where a long title cannot run into it."""
_MOST_POINTS = 400


def norm_against_logit(
    found: Mapping[str, HiddenClassifier], colours: Mapping[str, str], layer: str
) -> go.Figure:
    """Each image's feature norm against its hidden maximum logit, with the line of equality.

    Parameters
    ----------
    found : set name -> measurement, the ID test set first.
    colours : set name -> colour.
    layer : the layer's name, for the title.
    """
    figure = go.Figure()
    id_name = next(iter(found))
    for name, hidden in reversed(list(found.items())):
        rows = np.unique(np.linspace(0, len(hidden) - 1, _MOST_POINTS).astype(int))
        figure.add_scatter(
            x=hidden.norm[rows].astype(np.float32),
            y=hidden.confidence[rows].astype(np.float32),
            mode="markers",
            name=f"{name} (ID)" if name == id_name else name,
            marker={"color": colours[name], "size": 5, "opacity": 0.55},
            hovertemplate="norm %{x:.4g}<br>hidden max logit %{y:.4g}<extra>" + name + "</extra>",
        )
    top = max(float(h.norm.max()) for h in found.values())
    figure.add_scatter(
        x=[0, top], y=[0, top], mode="lines", name="equal", hoverinfo="skip",
        line={"color": GREY, "width": 1.5, "dash": "dash"},
    )  # fmt: skip
    figure.update_layout(
        base_layout(
            title=f"Norm against hidden maximum logit at {layer}",
            xaxis={"title": "feature norm ‖a‖₁", "rangemode": "tozero"},
            yaxis={"title": "hidden maximum logit", "zeroline": False},
            legend=LEGEND_BELOW | {"traceorder": "reversed"},
            margin={"l": 56, "r": 12, "t": 40, "b": 96},
            height=460,
        )
    )
    return figure


def hidden_by_layer(hidden: pd.DataFrame, ood_sets: Sequence[str]) -> go.Figure:
    """Accuracy, entropy, sign difference and relative error over depth, before and after training.

    Parameters
    ----------
    hidden : the lab's table `hidden`, rows of the supervised networks.
    ood_sets : names of the OOD sets, which are averaged.
    """
    panels = (
        ("accuracy", "accuracy, %", 100.0),
        ("entropy", "prediction entropy, nats", 1.0),
        ("mismatch_rate_predicted", "units whose sign disagrees, %", 100.0),
        ("relative_error", "relative error, %", 100.0),
    )
    figure = make_subplots(
        2, 2, subplot_titles=[title for _, title, _ in panels], shared_xaxes=True,
        vertical_spacing=0.14, horizontal_spacing=0.1,
    )  # fmt: skip
    lines = (
        ("ID test, trained", hidden["set"] == "test", True, ID_COLOUR, "solid"),
        ("OOD, trained", hidden["set"].isin(list(ood_sets)), True, OOD_COLOURS[0], "solid"),
        ("ID test, untrained", hidden["set"] == "test", False, GREY, "dash"),
    )
    last = hidden["epoch"].max()
    for name, of_set, trained, colour, dash in lines:
        rows = hidden[of_set & (hidden["epoch"] == (last if trained else 0))]
        for place, (key, _, scale) in enumerate(panels):
            means = scale * rows.groupby("layer")[key].mean()
            figure.add_scatter(
                x=means.index, y=means, name=name, legendgroup=name, showlegend=place == 0,
                mode="lines+markers", line={"color": colour, "dash": dash, "width": 2},
                hovertemplate="layer %{x}: %{y:.3g}<extra>" + name + "</extra>",
                row=1 + place // 2, col=1 + place % 2,
            )  # fmt: skip
    figure.update_xaxes(dtick=1)
    figure.update_xaxes(title="hidden layer", row=2)
    figure.update_yaxes(rangemode="tozero", zeroline=False)
    figure.update_annotations(font={"size": 12})
    figure.update_layout(
        base_layout(
            title="The hidden classifier of each layer",
            legend=LEGEND_BELOW | {"y": -0.15},
            margin={"l": 44, "r": 12, "t": 64, "b": 80},
            height=440,
        )
    )
    return figure


def nan_gain(rows: pd.DataFrame, ood_sets: Sequence[str], title: str) -> go.Figure:
    """AUROC of norm, sparsity and NAN for each OOD set, joined by a line: what the term adds.

    Parameters
    ----------
    rows : score, ood_set, auroc; several rows of a pair (seeds) are averaged.
    ood_sets : OOD sets from top to bottom.
    """
    means = 100 * rows.groupby(["ood_set", "score"])["auroc"].mean().unstack("score")
    means = means.reindex([s for s in ood_sets if s in means.index])
    figure = go.Figure()
    for name, row in means.iterrows():
        figure.add_scatter(
            x=[row["norm"], row["negative_aware_norm"]], y=[name, name], mode="lines",
            showlegend=False, line={"color": GREY, "width": 2}, hoverinfo="skip",
        )  # fmt: skip
    for score, (label, colour, _, symbol) in SCORE_LINES.items():
        if score in means:
            figure.add_scatter(
                x=means[score], y=list(means.index), mode="markers", name=label,
                marker={"color": colour, "symbol": symbol, "size": 11 if label == "NAN" else 9},
                hovertemplate="%{y}: %{x:.1f} %<extra>" + label + "</extra>",
            )  # fmt: skip
    plot = 26 + 34 * max(4, len(means))
    figure.update_layout(
        base_layout(
            title=title,
            xaxis={"title": "AUROC, % (50 is a coin)", "zeroline": False},
            yaxis={"type": "category", "autorange": "reversed", "automargin": True},
            legend=LEGEND_BELOW | {"y": -46 / plot},
            margin={"l": 76, "r": 12, "t": 40, "b": 84},
            height=plot + 40 + 84,
        )
    )
    return figure

"""Figures over all neurons: contributions to classes, mean activations, LINe beside energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ood_core.histograms import Bins, bin_scores
from ood_core.neurons import ContributionView, LineResult
from ood_core.plots.framing import GREY, framed
from ood_core.plots.theme import DIVERGING, ID_COLOUR

__all__ = ["contribution_heatmap", "mean_activation_figure", "score_figure"]

_VEIL = [[0, "rgba(189,189,189,0)"], [1, "rgba(189,189,189,0.85)"]]


def contribution_heatmap(
    view: ContributionView, chosen: int | None = None, height: int = 430
) -> go.Figure:
    """Class x neuron contributions; what LINe removes is veiled in the colour of zero.

    `chosen` is the number of a neuron to mark. Every cell tells class, neuron and value.
    """
    labels = [_span(columns) for columns in view.columns]
    heat = {"type": "heatmap", "x": labels, "y": _distinct(view.labels)}
    what = "strongest of the cell" if view.per_cell > 1 else "contribution"
    traces = [heat | {
        "z": view.values,
        "colorscale": DIVERGING,
        "zmin": -view.limit,
        "zmax": view.limit,
        "colorbar": {"title": {"text": "contribution, logit units", "side": "right"},
                     "thickness": 10},
        "hovertemplate": f"neuron %{{x}}<br>class %{{y}}<br>{what} %{{z:+.3f}}<extra></extra>",
    }]  # fmt: skip
    if view.removed is not None:
        share = np.round(100 * view.removed).astype(np.uint8)
        veil = {"zmin": 0, "zmax": 100, "colorscale": _VEIL, "showscale": False}
        traces.append(heat | veil | {"z": share, "hoverinfo": "skip"})
    masks = ", veiled where LINe removes it" if view.removed is not None else ""
    layout = framed(
        f"Contribution of each neuron to each class{masks}",
        height,
        left=view.labels,
        right=92,
        xaxis={"title": _place_title(view), "type": "category", "nticks": 24, "showgrid": False},
        yaxis={"title": "class", "type": "category", "autorange": "reversed",
               "showgrid": False},
    )  # fmt: skip
    places = [i for i, columns in enumerate(view.columns) if chosen in columns.tolist()]
    layout["shapes"] = [
        {"type": "rect", "x0": i - 0.5, "x1": i + 0.5, "y0": 0, "y1": 1, "yref": "paper",
         "line": {"color": GREY, "width": 1.5}}
        for i in places
    ]  # fmt: skip
    return go.Figure(data=traces, layout=layout)


def score_figure(
    result: LineResult, score: str, id_name: str, colours: Mapping[str, str]
) -> go.Figure:
    """Small histogram of the "line" or the "energy" score with the cut that accepts 95 % of ID."""
    title = {"line": "LINe", "energy": "Energy"}[score]
    sets = dict(getattr(result, score))
    inside = sets.pop(id_name)
    bins = bin_scores(inside, sets, 50, id_name)
    hues = {**colours, id_name: ID_COLOUR}
    traces = [_density(bins, name, hues[name]) for name in (*sets, id_name)]
    cut = result.thresholds[score]
    line = {"color": GREY, "width": 1.5, "dash": "dash"}
    at = bins.place(cut)
    layout = framed(
        f"{title}: ID against OOD",
        205,
        xaxis={"title": f"{title} score, higher is more ID", "zeroline": False},
        yaxis={"title": "density", "rangemode": "tozero"},
        shapes=[{"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper",
                 "line": line}],
        annotations=[{"x": at, "y": 1, "yref": "paper", "text": f"cut {cut:.4g}",
                      "showarrow": False, "xanchor": "left", "yanchor": "bottom",
                      "font": {"size": 11}}],
    )  # fmt: skip
    return go.Figure(data=traces, layout=layout)


def _density(bins: Bins, name: str, colour: str) -> dict[str, Any]:
    counts = bins.counts[name]
    n = max(int(counts.sum()), 1)
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return {
        "type": "scatter",
        "x": bins.centres,
        "y": (counts / n / np.diff(bins.edges)).astype(np.float32),
        "customdata": counts,
        "name": name,
        "mode": "lines",
        "line": {"shape": "hvh", "color": colour, "width": 1.5},
        "fill": "tozeroy",
        "fillcolor": f"rgba({r},{g},{b},0.12)",
        "hovertemplate": f"%{{x:.4g}}: %{{customdata:,}} of {n:,} images<extra>{name}</extra>",
    }


def mean_activation_figure(
    means: pd.DataFrame, colours: Mapping[str, str], clip: float | None = None, most: int = 3000
) -> go.Figure:
    """Mean activation of each neuron, ID against OOD, neurons ordered by the ID mean.

    The first name of `colours` is the ID set. Above `most` neurons, evenly spaced places are drawn.
    """
    first = next(iter(colours))
    ordered = means.sort_values(first, ascending=False, kind="stable").reset_index(drop=True)
    if len(ordered) > most:
        ordered = ordered.iloc[np.linspace(0, len(ordered) - 1, most).astype(int)]
    traces = [
        {
            "type": "scatter",
            "x": ordered.index.to_numpy(np.int32),
            "y": ordered[name].to_numpy(np.float32),
            "customdata": ordered["neuron"].to_numpy(np.int32),
            "name": name,
            "mode": "lines",
            "line": {
                "color": colours[name],
                "width": 2.5 if name == first else 1.2,
                "shape": "hvh",
            },
            "hovertemplate": "neuron %{customdata}: %{y:.3f}<extra>" + name + "</extra>",
        }
        for name in [*list(colours)[1:], first]
    ]
    layout = framed(
        "Mean activation of each neuron: ID against OOD",
        360,
        len(colours),
        xaxis={"title": "neurons, strongest on ID first (place in that order)"},
        yaxis={"title": "mean activation", "rangemode": "tozero"},
    )
    if clip is not None and clip <= 2 * float(means[list(colours)].to_numpy().max()):
        layout["shapes"] = [
            {
                "type": "line",
                "x0": 0,
                "x1": 1,
                "xref": "paper",
                "y0": clip,
                "y1": clip,
                "line": {"color": GREY, "width": 1, "dash": "dash"},
            }
        ]
        layout["annotations"] = [{"x": 1, "xref": "paper", "xanchor": "right", "y": clip,
                                  "yanchor": "bottom", "text": f"clip δ = {clip:g}",
                                  "showarrow": False, "font": {"size": 11}}]  # fmt: skip
    return go.Figure(data=traces, layout=layout)


def _span(columns: np.ndarray) -> str:
    shown = ", ".join(str(n) for n in columns[:4])
    return shown if len(columns) <= 4 else f"{shown} and {len(columns) - 4} more"


def _distinct(labels: Sequence[str]) -> list[str]:
    """Labels as categories: a repeated one gets its place, or its rows would fall together."""
    seen = {label for label in labels if list(labels).count(label) > 1} if len(labels) < 999 else ()
    return [f"{label} ({i})" if label in seen else label for i, label in enumerate(labels)]


def _place_title(view: ContributionView) -> str:
    n = sum(map(len, view.columns))
    binned = f", {len(view.columns[0])} to a column" if len(view.columns[0]) > 1 else ""
    return f"neuron number, {n:,} neurons in display order{binned}"

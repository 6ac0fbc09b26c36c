"""Figure over all neurons: mean activations, ID against OOD."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ood_core.plots.framing import GREY, framed

__all__ = ["mean_activation_figure"]


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

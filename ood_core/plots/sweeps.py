"""Sweeps as curves and heatmaps, and one detector's score against another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ood_core.plots.theme import GREY, ID_COLOUR, SEQUENTIAL, base_layout, ood_colour
from ood_core.scoring.disagreement import Disagreement
from ood_core.views.projection import subsample

__all__ = ["score_scatter", "sweep_curve", "sweep_heatmap"]

LABELS = {"auroc": "AUROC, %", "fpr95": "FPR95 (ID positive), %"}
MOST_POINTS = 9_000


def sweep_curve(table: pd.DataFrame, parameter: str, metric: str, title: str) -> go.Figure:
    """Mean metric over one parameter; values that cannot run leave a gap."""
    x = [str(v) for v in table[parameter]]
    figure = go.Figure(
        go.Scatter(
            x=x,
            y=100 * table[metric],
            mode="lines+markers",
            marker={"size": 10, "color": ID_COLOUR},
            line={"color": ID_COLOUR},
            customdata=np.arange(len(table)),
            hovertemplate=f"{parameter} %{{x}}<br>{LABELS[metric]} %{{y:.2f}}<extra></extra>",
        )
    )
    figure.update_layout(**base_layout(title={"text": title, "font": {"size": 14}}, height=340))
    figure.update_xaxes(title=parameter, type="category")
    figure.update_yaxes(title=f"mean {LABELS[metric]}")
    return figure


def sweep_heatmap(
    table: pd.DataFrame, parameters: tuple[str, str], metric: str, title: str
) -> go.Figure:
    """Mean metric over two parameters; each cell prints its value."""
    across, down = parameters
    grid = 100 * table.pivot(index=down, columns=across, values=metric)
    text = [[f"{v:.1f}" if np.isfinite(v) else "–" for v in row] for row in grid.to_numpy()]
    figure = go.Figure(
        go.Heatmap(
            z=grid.to_numpy(),
            x=[str(v) for v in grid.columns],
            y=[str(v) for v in grid.index],
            text=text,
            texttemplate="%{text}",
            colorscale=SEQUENTIAL,
            reversescale=metric == "fpr95",
            colorbar={"title": {"text": LABELS[metric]}, "thickness": 12},
            hoverinfo="skip",
        )
    )
    # Heatmap cells raise no selection; invisible marks on them do, and so they tell the value.
    places = [(str(a), str(d)) for d in grid.index for a in grid.columns]
    figure.add_scatter(
        x=[a for a, _ in places],
        y=[d for _, d in places],
        mode="markers",
        marker={"opacity": 0, "size": 40, "symbol": "square"},
        customdata=grid.to_numpy().ravel(),
        hovertemplate=f"{across} %{{x}}<br>{down} %{{y}}<br>{LABELS[metric]} %{{customdata:.2f}}"
        "<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(**base_layout(title={"text": title, "font": {"size": 14}}, height=380))
    figure.update_layout(hovermode="closest", hoverdistance=100)  # anywhere in a cell
    figure.update_xaxes(title=across, type="category", showgrid=False)
    figure.update_yaxes(title=down, type="category", showgrid=False)
    return figure


def score_scatter(
    found: Disagreement, titles: tuple[str, str], id_set: str, ood_order: Sequence[str]
) -> go.Figure:
    """One point an image: the first detector's score across, the second's up, both thresholds."""
    rows = found.rows
    if len(rows) > MOST_POINTS:
        share = MOST_POINTS / len(rows)
        groups = rows.groupby("set", sort=False)
        rows = pd.concat([g.iloc[subsample(len(g), int(share * len(g)))] for _, g in groups])
    finite = rows[np.isfinite(rows["a"]) & np.isfinite(rows["b"])]
    places: Mapping[str, int] = {name: i for i, name in enumerate(ood_order)}
    figure = go.Figure()
    for name, group in finite.groupby("set", sort=False):
        tint = ID_COLOUR if name == id_set else ood_colour(places.get(str(name), 0))
        figure.add_scattergl(
            x=group["a"].to_numpy(np.float32),
            y=group["b"].to_numpy(np.float32),
            mode="markers",
            name=f"{name} (ID)" if name == id_set else str(name),
            marker={
                "size": 4,
                "opacity": 0.55,
                "color": tint,
                "symbol": "circle" if name == id_set else "diamond",
            },
            hovertemplate=f"{name}<br>%{{x:.4g}}, %{{y:.4g}}<extra></extra>",
        )
    grey = {"color": GREY, "width": 1, "dash": "dash"}
    if np.isfinite(found.threshold_a):
        figure.add_vline(x=found.threshold_a, line=grey)
    if np.isfinite(found.threshold_b):
        figure.add_hline(y=found.threshold_b, line=grey)
    figure.update_layout(
        **base_layout(
            title={"text": f"{titles[0]} against {titles[1]}", "font": {"size": 14}},
            height=440,
            legend={"orientation": "h", "y": -0.18, "yanchor": "top", "x": 0},
            margin={"l": 56, "r": 12, "t": 40, "b": 96},
        )
    )
    figure.update_xaxes(title=f"{titles[0]} score (higher = more ID)", zeroline=False)
    figure.update_yaxes(title=f"{titles[1]} score (higher = more ID)", zeroline=False)
    return figure

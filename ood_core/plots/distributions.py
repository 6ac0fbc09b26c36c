"""Histograms of scores: ID against each OOD set, threshold and uploads drawn in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ood_core.errors import ConfigError
from ood_core.metrics.counts import ScoreSummary, pool
from ood_core.metrics.histograms import Bins, bin_scores
from ood_core.plots.theme import ID_COLOUR, OOD_COLOURS, base_layout, ood_colour

__all__ = ["histogram"]

POOLED = "OOD sets pooled"
UNITS = {"density": "density, 1 / score unit", "counts": "images"}


def histogram(
    id_scores: ScoreSummary,
    ood: Mapping[str, ScoreSummary],
    *,
    threshold: float | None = None,
    unit: str = "density",
    log: bool = False,
    pooled: bool = False,
    markers: Mapping[str, float] | None = None,
    colours: Mapping[str, str] | None = None,
    bins: int = 80,
    score_name: str = "score",
    id_name: str = "ID",
) -> go.Figure:
    """Histogram of ID against OOD scores, binned exactly here.

    Parameters
    ----------
    threshold : drawn as a line where given and finite.
    unit : "density" (each set's area is 1) or "counts".
    log : logarithmic vertical axis.
    pooled : all OOD sets as one.
    markers : name -> score of single images, drawn below the curves.
    colours : OOD set name -> colour; in the theme's order where absent.
    bins : about how many bins the drawn range has.
    score_name : what the score is called on the axis.

    Raises
    ------
    ConfigError
        When the unit is neither of the two.
    """
    if unit not in UNITS:
        raise ConfigError(f"unit must be one of {sorted(UNITS)}, got {unit!r}.")
    hues = {name: ood_colour(i) for i, name in enumerate(ood)} | dict(colours or {})
    shown = dict(ood)
    if pooled and len(ood) > 1:
        shown, hues = {POOLED: pool(list(ood.values()))}, {POOLED: OOD_COLOURS[0]}
    binned = bin_scores(id_scores, shown, bins, id_name)
    heights = {name: _heights(binned, name, unit) for name in binned.counts}
    floor = min(float(h[h > 0].min()) for h in heights.values()) / 2 if log else 0.0
    figure = go.Figure()
    for name in [*shown, id_name]:
        colour = ID_COLOUR if name == id_name else hues[name]
        figure.add_scatter(**_steps(binned, name, heights[name], colour, floor))
    top = max(float(h.max()) for h in heights.values())
    if markers:
        figure.add_scatter(**_markers(binned, markers, floor))
    if threshold is not None and math.isfinite(threshold):
        _threshold_line(figure, binned, threshold)
    figure.update_layout(_layout(binned, unit, log, floor, top, score_name, id_name, list(shown)))
    return figure


def _heights(binned: Bins, name: str, unit: str) -> np.ndarray:
    counts = binned.counts[name]
    return (
        counts / counts.sum() / np.diff(binned.edges) if unit == "density" else counts.astype(float)
    )


def _steps(
    binned: Bins, name: str, heights: np.ndarray, colour: str, floor: float
) -> dict[str, Any]:
    """One set as a filled staircase; a point per bin, with its exact count in the hover text."""
    width = binned.edges[1] - binned.edges[0]
    x = np.concatenate(
        [[binned.edges[0] - width / 2], binned.centres, [binned.edges[-1] + width / 2]]
    )
    y = np.maximum(np.concatenate([[0.0], heights, [0.0]]), floor)
    counts = binned.counts[name]
    n = int(counts.sum())
    text = [
        f"{binned.label(i)}<br>{c:,} of {n:,} images ({100 * c / n:.2f} %)"
        for i, c in enumerate(counts)
    ]
    return {
        "x": np.round(x, 12),
        "y": y,
        "name": name,
        "mode": "lines",
        "line": {"shape": "hvh", "color": colour, "width": 1.5},
        "fill": "tozeroy",
        "fillcolor": _faded(colour),
        "text": ["", *text, ""],
        "hovertemplate": "%{text}<extra>" + name + "</extra>",
    }


def _markers(binned: Bins, markers: Mapping[str, float], floor: float) -> dict[str, Any]:
    return {
        "x": [binned.place(score) for score in markers.values()],
        "y": [floor] * len(markers),
        "text": [f"{name}<br>score {score:.6g}" for name, score in markers.items()],
        "name": "uploaded",
        "mode": "markers",
        "marker": {"symbol": "triangle-up", "size": 11, "color": "#7F7F7F", "line": {"width": 1}},
        "cliponaxis": False,
        "hovertemplate": "%{text}<extra></extra>",
    }


def _threshold_line(figure: go.Figure, binned: Bins, threshold: float) -> None:
    """A line with its words on the side that has more room."""
    x = binned.place(threshold)
    figure.add_vline(x, line={"width": 1.5, "dash": "dash", "color": "#7F7F7F"})
    side = "left" if 2 * x < binned.edges[0] + binned.edges[-1] else "right"
    words = f"{threshold:.5g}: ID from here →".replace("-", "−")
    figure.add_annotation(
        x=x, y=1, yref="paper", yanchor="top", xanchor=side, showarrow=False, text=f" {words} "
    )


def _layout(
    binned: Bins,
    unit: str,
    log: bool,
    floor: float,
    top: float,
    score_name: str,
    id_name: str,
    ood: list[str],
) -> dict[str, Any]:
    against = ", ".join(ood) if len(ood) <= 3 else f"{len(ood)} OOD sets"
    note, more = (f"<br><sub>{binned.note}</sub>", 12) if binned.note else ("", 0)
    span = [float(binned.edges[0]), float(binned.edges[-1])]
    y_axis: dict[str, Any] = {"title": UNITS[unit], "rangemode": "tozero", "zeroline": False}
    if log:
        y_axis |= {"type": "log", "range": [math.log10(floor), math.log10(top) + 0.05]}
    return base_layout(
        title={"text": f"{score_name}: {id_name} against {against}", "font": {"size": 14}},
        legend={"orientation": "h", "y": -(61 + more) / 256, "yanchor": "top", "x": 0},
        margin={"l": 56, "r": 12, "t": 40, "b": 84 + more},
        xaxis={"title": f"{score_name} (higher = more in-distribution){note}", "range": span},
        yaxis=y_axis,
        hovermode="closest",
        height=380 + more,
    )


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"

"""Figures of one layer: active units, entropy of its units, NAN taken apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ood_core.layers import ActiveUnits, NanApart
from ood_core.plots.framing import GREY, framed
from ood_core.plots.theme import ACCENT

__all__ = ["active_units_figure", "entropy_histogram", "nan_scatter"]

_LN2 = float(np.log(2))


def active_units_figure(units: ActiveUnits, colours: Mapping[str, str], layer: str) -> go.Figure:
    """Distribution of the number of active units per image, one step line per set."""
    figure = go.Figure()
    for name, colour in colours.items():
        rows = units.histogram[units.histogram["set"] == name]
        _add_steps(figure, rows, name, colour, "%{x:.0f} units: %{y:.1f} % of images")
    figure.update_layout(
        framed(
            f"Active units per image at {layer}: ID against OOD",
            300,
            len(colours),
            xaxis={"title": f"active units ‖a‖₀, of {units.n_units:,}", "tickformat": ",d"},
            yaxis={"title": "share of the set's images, %", "rangemode": "tozero"},
        )
    )
    return figure


def entropy_histogram(
    entropies: Mapping[str, np.ndarray], colours: Mapping[str, str], layer: str, bins: int = 40
) -> go.Figure:
    """How the units' entropies are distributed at one layer, one step line per set."""
    edges = np.linspace(0, _LN2, bins + 1)
    figure = go.Figure()
    for name, values in entropies.items():
        count, _ = np.histogram(np.minimum(values, _LN2), edges)
        share = count / max(len(values), 1)
        rows = pd.DataFrame({"left": edges[:-1], "right": edges[1:], "share": share})
        _add_steps(figure, rows, name, colours[name], "%{x:.2f} nats: %{y:.1f} % of units")
    figure.update_layout(
        framed(
            f"Entropy of each unit at {layer}: ID against OOD",
            300,
            len(colours),
            xaxis={"title": "entropy of a unit, nats (0: always on or always off)"},
            yaxis={"title": "share of the layer's units, %", "rangemode": "tozero"},
        )
    )
    return figure


def nan_scatter(apart: NanApart, colours: Mapping[str, str]) -> go.Figure:
    """Return L1 against active units with exact marginals, iso-NAN lines and the three cuts."""
    figure = make_subplots(
        rows=2,
        cols=2,
        column_widths=[0.84, 0.16],
        row_heights=[0.18, 0.82],
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.015,
        vertical_spacing=0.02,
    )
    for name, colour in colours.items():
        _add_points(figure, apart, name, colour)
        _add_marginals(figure, apart, name, colour)
    _add_iso(figure, apart)
    x, y = apart.active_range, apart.l1_range
    figure.update_xaxes(title="active units ‖a‖₀", range=x, row=2, col=1)
    figure.update_yaxes(title="L1 norm ‖a‖₁", range=y, row=2, col=1)
    figure.update_xaxes(showticklabels=False, row=2, col=2)
    figure.update_yaxes(showticklabels=False, row=1, col=1)
    title = f"Norm against active units at {apart.layer}: ID against OOD"
    figure.update_layout(framed(title, 560, len(colours) + 3))
    return figure


def _add_points(figure: go.Figure, apart: NanApart, name: str, colour: str) -> None:
    rows = apart.points[apart.points["set"] == name]
    figure.add_scatter(
        x=rows["active"].to_numpy(np.float32),
        y=rows["l1"].to_numpy(np.float32),
        customdata=rows["negative_aware_norm"].to_numpy(np.float32),
        name=name,
        mode="markers",
        marker={"color": colour, "size": 4, "opacity": 0.45},
        hovertemplate="‖a‖₁ %{y:.3g}, ‖a‖₀ %{x:.0f}, NAN %{customdata:.3g}"
        f"<extra>{name}</extra>",
        row=2,
        col=1,
    )


def _add_marginals(figure: go.Figure, apart: NanApart, name: str, colour: str) -> None:
    for axis, place in (("active", (1, 1)), ("l1", (2, 2))):
        chosen = (apart.marginals["set"] == name) & (apart.marginals["axis"] == axis)
        rows = apart.marginals[chosen]
        steps, share = _steps(rows)
        flat = axis == "active"
        figure.add_scatter(
            x=steps if flat else share,
            y=share if flat else steps,
            mode="lines",
            line={"color": colour, "width": 1.5},
            showlegend=False,
            hoverinfo="skip",
            row=place[0],
            col=place[1],
        )


def _add_iso(figure: go.Figure, apart: NanApart) -> None:
    """Lines of equal NAN through the origin, and the cuts that accept 95 % of the ID images."""
    cut, norm = apart.thresholds["negative_aware_norm"], apart.thresholds["l1"]
    low, high = 0.0, 2 * apart.active_range[1]
    faint = {"color": GREY, "width": 1, "dash": "dot"}
    lines = [(0.0, v, f"NAN = {v:.3g}", faint, v == apart.iso[1]) for v in apart.iso[1:]]
    bold, dashed = {"color": ACCENT, "width": 2}, {"color": GREY, "width": 1.5, "dash": "dash"}
    lines.append((0.0, cut, f"NAN = {cut:.3g}", bold, True))
    lines.append((norm, 0.0, f"L1 = {norm:.3g}", dashed, True))
    for start, slope, label, line, listed in lines:
        figure.add_scatter(
            x=[low, high],
            y=[start + slope * low, start + slope * high],
            mode="lines",
            line=line,
            name="equal NAN" if line is faint else label,
            showlegend=listed,
            hovertemplate=label
            + ("" if line is faint else ", accepts 95 % of ID")
            + "<extra></extra>",
            row=2,
            col=1,
        )


def _steps(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Outline of a histogram: edges doubled, shares in percent, closed at zero."""
    edges = np.append(rows["left"].to_numpy(), rows["right"].to_numpy()[-1])
    share = 100 * rows["share"].to_numpy()
    return np.repeat(edges, 2), np.concatenate([[0.0], np.repeat(share, 2), [0.0]])


def _add_steps(figure: go.Figure, rows: pd.DataFrame, name: str, colour: str, hover: str) -> None:
    x, y = _steps(rows)
    figure.add_scatter(
        x=x,
        y=y,
        name=name,
        mode="lines",
        line={"color": colour, "width": 2},
        fill="tozeroy",
        fillcolor=_faint(colour),
        hovertemplate=hover + f"<extra>{name}</extra>",
    )


def _faint(colour: str) -> str:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},0.12)"

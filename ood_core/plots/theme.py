"""Colours and layout that every figure shares."""

from __future__ import annotations

from typing import Any

__all__ = [
    "ACCENT",
    "DIVERGING",
    "DIVERGING_DARK",
    "GREY",
    "ID_COLOUR",
    "OOD_COLOURS",
    "SEQUENTIAL",
    "base_layout",
    "ood_colour",
]

ID_COLOUR = "#0072B2"
OOD_COLOURS = ("#D55E00", "#E69F00", "#CC79A7", "#009E73", "#56B4E9", "#7F7F7F", "#B8A800")
"""Okabe-Ito hues, vermillion first; an OOD set keeps its place in the experiment's order.
The palette's yellow is darkened so that it holds on white."""
ACCENT = "#0072B2"
GREY = "#7F7F7F"
DIVERGING: list[list[float | str]] = [
    [0.0, "#B2182B"],
    [0.25, "#EF8A62"],
    [0.5, "#BDBDBD"],
    [0.75, "#67A9CF"],
    [1.0, "#2166AC"],
]
DIVERGING_DARK: list[list[float | str]] = [
    [0.0, "#F4A582"],
    [0.25, "#C4553F"],
    [0.5, "#363C43"],
    [0.75, "#2F7FBF"],
    [1.0, "#8CCBF0"],
]
"""The same on a dark page: nothing is dark there too, and what is far from zero is bright."""
SEQUENTIAL = "Cividis"


def ood_colour(index: int) -> str:
    """Colour of the experiment's OOD set number `index` (0-based, in the experiment's order)."""
    return OOD_COLOURS[index % len(OOD_COLOURS)]


def base_layout(**more: Any) -> dict[str, Any]:
    """Layout keywords common to every figure: margins, thin axes, no background of its own.

    Text colours are left to the page's theme, so a figure reads in light and in dark.
    """
    layout: dict[str, Any] = {
        "margin": {"l": 56, "r": 12, "t": 40, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        "hoverlabel": {"namelength": -1},
    }
    layout.update(more)
    return layout

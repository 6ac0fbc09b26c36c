"""Title on top, legend below the axis: neither runs into the other, whatever the width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ood_core.plots.theme import base_layout

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["GREY", "framed", "in_lines", "resized", "room"]

GREY = "#7F7F7F"
"""Lines that are neither ID nor OOD: holds on light and on dark."""

_PER_ROW = 2
"""Entries of the legend beside each other in the narrowest window, a phone's."""
_LETTERS = 40
"""Letters of a title in a line, for the same window."""
_LINE = 17
"""Height of a line of the title, in pixels."""


def framed(
    title: str,
    height: int,
    entries: int = 0,
    left: Iterable[str] = (),
    right: int = 12,
    **more: Any,
) -> dict[str, Any]:
    """Layout of a figure with a title on top and `entries` legend entries at the bottom.

    `height` is that of the figure in a wide window; what a phone's legend needs comes below it.

    Margins are fixed: margins that find their size by themselves draw the figure several times.
    `left` are the tick labels of the vertical axis where they are words, `right` the pixels that a
    colour bar needs.
    """
    plot, legend = height - 80 - 20 * -(-entries // 4), 20 * -(-entries // _PER_ROW)
    widest = min(max((len(str(label)) for label in left), default=0), 24)
    layout = base_layout(
        title={"text": title, "x": 0, "xanchor": "left", "yref": "container", "y": 0.985,
               "yanchor": "top", "font": {"size": 14}},
        height=plot + 80 + legend,
        showlegend=entries > 0,
        legend={"orientation": "h", "y": -46 / plot, "yanchor": "top", "x": 0,
                "xanchor": "left", "font": {"size": 11}, "itemsizing": "constant"},
        margin={"l": max(56, 34 + 7 * widest), "r": right, "t": 34, "b": 46 + legend,
                "autoexpand": False},
    )  # fmt: skip
    layout.update(more)
    return layout


def in_lines(figure: go.Figure) -> None:
    """Break the titles of a figure into lines that a phone shows whole, and make room for them.

    A title is broken behind its colon where that is enough. Nothing is done twice.
    """
    layout = figure.layout
    title = layout.title.text or ""
    lines = [line for part in title.replace(": ", ":\n").splitlines() for line in _broken(part)]
    if len(title) > _LETTERS and "<br>" not in title:
        layout.title.text = "<br>".join(lines)
        if layout.title.yanchor == "top":  # Plotly sets the first of several lines on this edge
            layout.title.pad.t = 10
        room(figure, "t", _LINE * (len(lines) - 1))
    for axis in figure.select_xaxes():
        words, *note = (axis.title.text or "").split("<br>", 1)  # a note below it stays as it is
        if len(words) > _LETTERS:
            axis.title.text = "<br>".join([*_broken(words), *note])
            room(figure, "b", 15 * (len(_broken(words)) - 1))


def _broken(words: str) -> list[str]:
    return textwrap.wrap(words, _LETTERS, break_long_words=False) or [""]


def resized(figure: go.Figure, height: int) -> None:
    """Give a figure another height; a legend below the plot keeps its distance in pixels."""
    layout = figure.layout
    margins = sum(80 if m is None else m for m in (layout.margin.t, layout.margin.b))
    before = (layout.height or 450) - margins
    if layout.legend.yanchor == "top" and (layout.legend.y or 0) < 0:
        layout.legend.y *= before / (height - margins)
    layout.height = height


def room(figure: go.Figure, side: str, pixels: int) -> None:
    """Widen the margin `side` ("t" or "b") of a figure and its height, so that the plot stays.

    A legend below the plot keeps its distance from what the margin is for.
    """
    layout = figure.layout
    margin = layout.margin
    above, below = (value if value is not None else 80 for value in (margin.t, margin.b))
    plot = (layout.height or 450) - above - below
    if side == "b" and layout.legend.yanchor == "top" and (layout.legend.y or 0) < 0:
        layout.legend.y -= pixels / plot
    margin[side] = (above if side == "t" else below) + pixels
    if layout.height:
        layout.height += pixels

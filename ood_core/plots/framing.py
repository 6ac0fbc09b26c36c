"""Title on top, legend below the axis: neither runs into the other, whatever the width."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ood_core.plots.theme import base_layout

__all__ = ["GREY", "framed"]

GREY = "#7F7F7F"
"""Lines that are neither ID nor OOD: holds on light and on dark."""

_PER_ROW = 4


def framed(
    title: str,
    height: int,
    entries: int = 0,
    left: Iterable[str] = (),
    right: int = 12,
    **more: Any,
) -> dict[str, Any]:
    """Layout of a figure with a title on top and `entries` legend entries at the bottom.

    Margins are fixed: margins that find their size by themselves draw the figure several times.
    `left` are the tick labels of the vertical axis where they are words, `right` the pixels that a
    colour bar needs.
    """
    rows = -(-entries // _PER_ROW)
    widest = min(max((len(str(label)) for label in left), default=0), 24)
    layout = base_layout(
        title={"text": title, "x": 0, "xanchor": "left", "yref": "container", "y": 0.985,
               "yanchor": "top", "font": {"size": 14}},
        height=height,
        showlegend=entries > 0,
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0,
                "xanchor": "left", "font": {"size": 11}, "itemsizing": "constant"},
        margin={"l": max(56, 34 + 7 * widest), "r": right, "t": 34, "b": 46 + 20 * rows,
                "autoexpand": False},
    )  # fmt: skip
    layout.update(more)
    return layout

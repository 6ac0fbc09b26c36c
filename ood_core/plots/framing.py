"""Title on top, legend below the axis: neither runs into the other, whatever the width."""

from __future__ import annotations

from typing import Any

from ood_core.plots.theme import base_layout

__all__ = ["GREY", "framed"]

GREY = "#7F7F7F"
"""Lines that are neither ID nor OOD: holds on light and on dark."""

_PER_ROW = 5


def framed(title: str, height: int, entries: int = 0, **more: Any) -> dict[str, Any]:
    """Layout of a figure with a title on top and `entries` legend entries at the bottom."""
    rows = -(-entries // _PER_ROW)
    layout = base_layout(
        title={"text": title, "x": 0, "xanchor": "left", "yref": "container", "y": 0.985,
               "yanchor": "top", "font": {"size": 14}},
        height=height,
        showlegend=entries > 0,
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0,
                "xanchor": "left", "font": {"size": 11}, "itemsizing": "constant"},
        margin={"l": 56, "r": 12, "t": 34, "b": 46 + 20 * rows},
    )  # fmt: skip
    layout.update(more)
    return layout

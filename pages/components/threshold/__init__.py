"""Histogram with a threshold line to drag, and the table that follows it, as v2 components.

The browser gets bin counts and, once per score set, how many images of each set are accepted at
each of the grid's thresholds. While the line is dragged nothing is asked of the server.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

__all__ = ["histogram", "table"]

_HERE = Path(__file__).parent


def _files(name: str) -> dict[str, str]:
    return {kind: (_HERE / f"{name}.{kind}").read_text() for kind in ("html", "css", "js")}


_HISTOGRAM = st.components.v2.component("ood_lens_threshold", **_files("histogram"))
_TABLE = st.components.v2.component("ood_lens_threshold_table", **_files("table"))


def histogram(
    key: str,
    data: dict[str, Any],
    *,
    on_moved: Callable[[float], None],
    on_selected: Callable[[list[float]], None],
    on_drawn: Callable[[dict[str, str]], None],
) -> None:
    """Draw the histogram.

    Parameters
    ----------
    data : `id` (changes with the scores), `channel`, `height`, `x_title`, `alt`, `name`,
        `edges` (bins + 1), `sets` (each `name`, `colour`, `n`, `id` (bool), `bins`, `accepted`
        per grid threshold), `grid` (ascending thresholds), `threshold` and `accepted` (exact
        counts there, per set), `range` (low, high) or None, `pooled_colour`, and how it is
        drawn: `unit` density or counts, `scale` linear or log, `sets_shown` each or pooled.
    on_moved : called with the threshold when the line is released.
    on_selected : called with [low, high] when a range was marked, [] when it was cleared.
    on_drawn : called with `unit`, `scale` and `sets` when the visitor changed one.
    """

    def call(name: str, action: Callable[[Any], None]) -> Callable[[], None]:
        return lambda: action(st.session_state[key][name])

    _HISTOGRAM(
        key=key,
        data=data,
        on_moved_change=call("moved", on_moved),
        on_selected_change=call("selected", on_selected),
        on_drawn_change=call("drawn", on_drawn),
    )


def table(key: str, data: dict[str, Any]) -> None:
    """Draw the table that follows the histogram with the same `channel`.

    `data`: `channel`, `columns` (titles of fixed columns), `rows` (each `name`, `colour`, `n`,
    `id`, `fixed`: pairs of value and interval), `accepted` per row, in the histogram's order.
    """
    _TABLE(key=key, data=data)

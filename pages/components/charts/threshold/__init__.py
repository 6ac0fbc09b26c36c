"""Histogram with a threshold line to drag, curves and table that follow it, as v2 components;
and small histograms that only show.

The browser gets bin counts and, once per score set, how many images of each set are accepted at
each of the grid's thresholds. While the line is dragged nothing is asked of the server.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pages.components.kit.assets import component, on_trigger

if TYPE_CHECKING:
    from pages.components.kit.assets import JsonObject

__all__ = ["curves", "densities", "histogram", "steps", "table"]

_HERE = Path(__file__).parent
_HISTOGRAM = component(_HERE, "histogram", "common")
_CURVES = component(_HERE, "curves", "common")
_TABLE = component(_HERE, "table", "common")
_DENSITIES = component(_HERE, "densities", "common")
_STEPS = component(_HERE, "steps", "common")


def histogram(
    key: str,
    data: JsonObject,
    *,
    on_moved: Callable[[float], None],
    on_selected: Callable[[list[float]], None],
    on_drawn: Callable[[dict[str, str]], None],
) -> None:
    """Draw the histogram.

    Parameters
    ----------
    data : `id` (changes with the scores), `channel`, `seq` (grows with each message), `height`,
        `x_title`, `alt`, `name`, `edges` (bins + 1), `sets` (each `name`, `colour`, `n`, `id`
        (bool), `bins`, `accepted` per grid threshold), `grid` (ascending thresholds),
        `threshold` and `accepted` (exact counts there, per set), `range` (low, high) or None,
        `pooled_colour`, and how it is drawn: `unit` density or counts, `scale` linear or log,
        `sets_shown` each or pooled.
    on_moved : called with the threshold when the line is released.
    on_selected : called with [low, high] when a range was marked, [] when it was cleared.
    on_drawn : called with `unit`, `scale` and `sets` when the visitor changed one.
    """

    _HISTOGRAM(
        key=key,
        data=data,
        on_moved_change=on_trigger(key, "moved", on_moved),
        on_selected_change=on_trigger(key, "selected", on_selected),
        on_drawn_change=on_trigger(key, "drawn", on_drawn),
    )


def curves(key: str, data: JsonObject, *, on_drawn: Callable[[dict[str, str]], None]) -> None:
    """Draw ROC or precision-recall curves; the operating point follows the histogram's line.

    Parameters
    ----------
    data : `id`, `channel`, `seq`, `height`, `name`, `sets` and `accepted` as for `histogram`,
        `kind` ("roc", "pr_id" or "pr_ood"), and per kind one entry per OOD set: `curves` (`x`
        and `y` in percent) and `areas` (text).
    on_drawn : called with `curve` when the visitor chose another kind.
    """
    _CURVES(key=key, data=data, on_drawn_change=on_trigger(key, "drawn", on_drawn))


def table(key: str, data: JsonObject) -> None:
    """Draw the table that follows the histogram, and bring the server's threshold to all of them.

    `data`: `id`, `channel`, `seq`, `threshold` and `accepted` as for `histogram`, `columns`
    (titles of fixed columns), `rows` in the histogram's order (each `name`, `colour`, `n`, `id`,
    `fixed`: pairs of value and interval), and the sentences `how` and `check`.
    """
    _TABLE(key=key, data=data)


def densities(key: str, data: JsonObject) -> None:
    """Draw small histograms below each other that only show, each with its cut.

    `data`: `name` of the CSV file, `height` of a panel, and `panels`, each with `name`, `title`,
    `x_title`, `edges` (bins + 1), `sets` (each `name`, `colour`, `n`, `bins`), `cut_at` and
    `cut_text`. `tells`, if given, is the `level` and `level_text` that `steps` follows.
    """
    _DENSITIES(key=key, data=data)


def steps(key: str, data: JsonObject) -> None:
    """Draw a value of each set at every place of an axis, as steps.

    `data`: `name` of the SVG file, `height`, `title`, `x_title`, `y_title`, `labels` (what stands
    at each place; `what` says what they are), `places` (how many there are, drawn or not), `sets`
    (each `name`, `colour`, `id`, `values`), and `level` with `level_text`, which follow those that
    `densities` tells.
    """
    _STEPS(key=key, data=data)

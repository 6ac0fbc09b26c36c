"""Class x neuron contributions as a v2 component: look closer, read cells, take a neuron."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING

from pages.components.charts.figures import diverging
from pages.components.kit.assets import component, on_trigger

if TYPE_CHECKING:
    from ood_core.neurons import ContributionView
    from pages.components.kit.assets import JsonObject

__all__ = ["map_data", "neuron_map"]

_MAP = component(Path(__file__).parent, "map", "../threshold/common")


def neuron_map(
    key: str,
    data: JsonObject,
    view: ContributionView,
    *,
    on_picked: Callable[[int], None],
    on_looked: Callable[[list[int]], None],
) -> None:
    """Draw the map.

    Parameters
    ----------
    data : from `map_data`.
    view : the `ContributionView` that it was made of.
    on_picked : called with the number of the neuron that was clicked; where a cell stands for
        several neurons, the first of them.
    on_looked : called with the first column looked at and the one after the last; [] for all.
    """
    columns = view.columns
    _MAP(
        key=key,
        data=data,
        on_picked_change=on_trigger(key, "picked", lambda i: on_picked(int(columns[int(i)][0]))),
        on_looked_change=on_trigger(key, "looked", on_looked),
    )


def map_data(
    view: ContributionView,
    identity: str,
    marked: int | None = None,
    height: int = 430,
    window: tuple[int, int] | None = None,
) -> JsonObject:
    """What the browser gets of a `ContributionView`; cells that LINe removes are faded.

    Parameters
    ----------
    view : values, masks and labels, ready to draw.
    identity : changes with the order and the window, not with the masks.
    marked : number of a neuron to mark.
    height : pixels.
    window : columns to look at first, as `on_looked` gave them; None for all.
    """
    removed = view.removed_percent
    faded = "" if removed is None else ", faded where LINe removes it"
    return {
        "id": identity,
        "name": "contributions",
        "height": height,
        "title": f"Contribution of each neuron to each class{faded}",
        "x_title": _x_title(view.columns),
        "sizes": [[len(r) for r in view.rows], [len(k) for k in view.columns]],
        "labels": list(view.labels),
        "columns": [_span(numbers.tolist()) for numbers in view.columns],
        "window": window,
        "marked": [i for i, numbers in enumerate(view.columns) if marked in numbers.tolist()],
        "limit": view.limit,
        "beyond": view.largest > view.limit,
        "shades": diverging(),
        "values": _packed(view.values.astype("<f4").tobytes()),
        "removed": "" if removed is None else _packed(removed.tobytes()),
    }


def _packed(values: bytes) -> str:
    return base64.b64encode(values).decode()


def _span(numbers: list[int]) -> str:
    shown = ", ".join(str(n) for n in numbers[:4])
    return shown if len(numbers) <= 4 else f"{shown} and {len(numbers) - 4} more"


def _x_title(columns: Sequence[Sized]) -> str:
    n = sum(map(len, columns))
    binned = f", {len(columns[0])} to a column, named by the first" if len(columns[0]) > 1 else ""
    return f"neuron number, {n:,} neurons in the order chosen below{binned}"

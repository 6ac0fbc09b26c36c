"""Class x neuron contributions made small enough to draw: a window, binned where it is large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ood_core.errors import DataError
from ood_core.neurons.ordering import Order

__all__ = ["CELLS", "ContributionView", "contribution_table", "contribution_view"]

CELLS = 28_000
"""Most cells sent to the browser: 4 bytes of value and 1 of mask each, in base64, is 190 KB."""

_ROWS = 160
"""Most rows of a view: more would be thinner than two pixels."""


@dataclass(frozen=True, eq=False)
class ContributionView:
    """A window of the contribution matrix in display order, ready to draw.

    Attributes
    ----------
    values : (r, k) float32. A cell that stands for several entries shows the one of largest
        absolute value among those that LINe keeps, among all where it keeps none, so that a
        single strong neuron stays visible.
    removed : (r, k) in 0-1, share of the cell's entries that LINe removes, or None.
    rows, columns : per displayed row (column), the class (neuron) numbers that it stands for.
    labels : per displayed row, its class, or "first … last" for several.
    per_cell : most entries that one cell stands for; 1 when nothing is binned.
    limit : absolute value at which colours end, the same in every window and for every mask: the
        largest of the whole matrix where it is drawn entry by entry, else what 99 % of its cells
        stay below.
    largest : largest absolute value of the whole matrix.
    start, stop : the window, as places in the neuron order.
    """

    values: np.ndarray
    removed: np.ndarray | None
    rows: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...]
    labels: tuple[str, ...]
    per_cell: int
    limit: float
    largest: float
    start: int
    stop: int

    @property
    def removed_percent(self) -> np.ndarray | None:
        """(r, k) uint8, `removed` in whole percent, or None; 100 only where nothing is kept."""
        if self.removed is None:
            return None
        percent = np.round(100 * self.removed)
        return np.where(self.removed < 1, np.minimum(percent, 99), 100).astype(np.uint8)


def contribution_view(
    contrib: np.ndarray,
    order: Order,
    names: tuple[str, ...],
    removed: np.ndarray | None = None,
    start: int = 0,
    stop: int | None = None,
    classes: np.ndarray | None = None,
    max_cells: int = CELLS,
) -> ContributionView:
    """Cut a window out of the ordered contributions and bin it to at most `max_cells` cells.

    Parameters
    ----------
    contrib : (c, d) contributions.
    order : display order of classes and neurons, from `seriate`.
    names : c class names.
    removed : (c, d) booleans, what LINe sets to zero for each class, or None.
    start, stop : window of places in the neuron order, `0 <= start < stop <= d`.
    classes : class numbers to show, in the order's sequence; all by default.
    max_cells : most cells of the result.

    Raises
    ------
    DataError
        For an empty window, no classes, or a mask of another shape.
    """
    contrib = np.asarray(contrib, np.float64)
    c, d = contrib.shape
    stop = d if stop is None else stop
    if not 0 <= start < stop <= d:
        raise DataError(f"neuron window must satisfy 0 <= start < stop <= {d}, got {start}-{stop}.")
    if removed is not None and removed.shape != contrib.shape:
        raise DataError(f"mask of shape {removed.shape} for contributions of shape {(c, d)}.")
    keep = order.classes if classes is None else order.classes[np.isin(order.classes, classes)]
    if not len(keep):
        raise DataError("no class left to show: choose at least one.")
    rows = _bins(keep, min(len(keep), _ROWS))
    columns = _bins(order.neurons[start:stop], max(1, max_cells // len(rows)))
    neurons = order.neurons[start:stop]
    window = contrib[np.ix_(keep, neurons)]
    gone = None if removed is None else removed[np.ix_(keep, neurons)]
    values = _extreme(window, rows, columns)
    if gone is not None and len(rows) * len(columns) < window.size:
        kept = _extreme(np.where(gone, 0.0, window), rows, columns)
        values = np.where(kept != 0, kept, values)
    return ContributionView(
        values=values.astype(np.float32),
        removed=None if gone is None else _mean(gone, rows, columns),
        rows=rows,
        columns=columns,
        labels=tuple(_label(r, names) for r in rows),
        per_cell=max(map(len, rows)) * max(map(len, columns)),
        limit=_limit(contrib, order, max_cells),
        largest=float(np.abs(contrib).max()),
        start=start,
        stop=stop,
    )


def contribution_table(contrib: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """The whole matrix as a table: column `class`, then one column per neuron number."""
    return pd.DataFrame(contrib, columns=range(contrib.shape[1])).assign(**{"class": list(names)})[
        ["class", *range(contrib.shape[1])]
    ]


def _bins(numbers: np.ndarray, most: int) -> tuple[np.ndarray, ...]:
    """Cut into at most `most` runs, all but the last of equal length."""
    length = -(-len(numbers) // most)
    return tuple(numbers[i : i + length] for i in range(0, len(numbers), length))


def _starts(bins: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.cumsum([0, *map(len, bins[:-1])])


def _extreme(
    window: np.ndarray, rows: tuple[np.ndarray, ...], columns: tuple[np.ndarray, ...]
) -> np.ndarray:
    """Entry of largest absolute value in each cell; the positive one where two are equal."""
    cells = []
    for pick in (np.maximum, np.minimum):
        by_row = pick.reduceat(window, _starts(rows), axis=0)
        cells.append(pick.reduceat(by_row, _starts(columns), axis=1))
    high, low = cells
    return np.where(high >= -low, high, low)


def _limit(contrib: np.ndarray, order: Order, max_cells: int) -> float:
    """Absolute value at which colours end: few entries are far larger than all others, and in a
    scale that reaches them the cells of a large matrix look all alike."""
    if contrib.size <= max_cells:
        return float(np.abs(contrib).max())
    rows = _bins(order.classes, min(len(order.classes), _ROWS))
    columns = _bins(order.neurons, max(1, max_cells // len(rows)))
    cells = _extreme(contrib[np.ix_(order.classes, order.neurons)], rows, columns)
    return float(np.quantile(np.abs(cells), 0.99)) or float(np.abs(contrib).max())


def _mean(
    mask: np.ndarray, rows: tuple[np.ndarray, ...], columns: tuple[np.ndarray, ...]
) -> np.ndarray:
    total = np.add.reduceat(mask.astype(np.float64), _starts(rows), axis=0)
    total = np.add.reduceat(total, _starts(columns), axis=1)
    sizes = np.outer([len(r) for r in rows], [len(k) for k in columns])
    return np.asarray(total / sizes)


def _label(classes: np.ndarray, names: tuple[str, ...]) -> str:
    first, last = names[classes[0]], names[classes[-1]]
    return first if len(classes) == 1 else f"{first} … {last}"

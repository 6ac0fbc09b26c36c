"""Values of arrays as the store keeps them, each checked: float32, finite."""

from __future__ import annotations

import numpy as np

from ood_core.data.features.array_file import Column
from ood_core.errors import DataError

__all__ = ["numbers", "rows_of", "unicode"]


def unicode(text: str) -> str:
    """A text without the halves of characters that no page can show: "?" in their place."""
    return text.encode("utf-8", "replace").decode("utf-8")


def rows_of(column: Column, n: int, where: str) -> None:
    """Refuse an array that is not (n, d) numbers, with d at least 1.

    Raises
    ------
    DataError
        With the shape and type it has, and what to do.
    """
    what = f"{where}: {column.name!r}"
    if column.kind != "number":
        raise DataError(
            f"{what} has values of type {column.dtype}; expected numbers: float16, bfloat16, "
            "float32, float64 or whole numbers."
        )
    if len(column.shape) != 2:
        raise DataError(f"{what} has shape {column.shape}; expected (rows, d). {_remedy(column)}")
    if not column.shape[1]:
        raise DataError(f"{what} has shape {column.shape}: rows without a single value.")
    if column.shape[0] != n:
        raise DataError(
            f"{what} has {column.shape[0]:,} rows, but features has {n:,}. Every array needs one "
            "row for each row of features, in the same order. "
            "A head's weight and bias belong in a file of their own: head under [classifier]."
        )


def _remedy(column: Column) -> str:
    if len(column.shape) == 1:
        return "Save one row for each input: h.reshape(n, d)."
    if len(column.shape) > 2:
        return (
            "Pool it first, as the network does before its last layer: for maps (n, d, height, "
            "width) h.mean(axis=(2, 3)), for tokens (n, tokens, d) h.mean(axis=1) or h[:, 0]."
        )
    return ""


def numbers(column: Column, start: int, stop: int, where: str) -> np.ndarray:
    """Rows start to stop as float32, contiguous.

    float32 stays as it is; float16 and bfloat16 become it exactly; float64 and whole numbers are
    rounded to the nearest.

    Raises
    ------
    DataError
        On NaN, infinity, or a number that float32 cannot hold, with its row and column.
    """
    found = np.asarray(column.read(start, stop))
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(found, np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        row, place = (int(i) for i in np.argwhere(~finite)[0])
        value = found[row, place]
        what = f"{value}" if not np.isfinite(value) else f"{value:.4g}, too large for float32"
        count = int((~finite).sum())
        raise DataError(
            f"{where}: {column.name!r} holds {what} at row {start + row}, column {place} (counted "
            f"from 0; {count:,} such value{'s' if count > 1 else ''} in rows {start:,} to "
            f"{stop - 1:,}). Every value must be a finite number: correct or leave out these rows."
        )
    return values

"""The one gate for labels that come as an array: class numbers, or a clear error."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from ood_core.errors import DataError

__all__ = ["class_numbers"]

_ALLOWED = "Labels are class numbers 0, 1, 2, …, one for each image, and -1 where unknown."


def class_numbers(
    labels: Any, *, n: int | None = None, n_classes: int | None = None, what: str = "labels"
) -> np.ndarray:
    """Labels as class numbers.

    Whole numbers of any type are taken as they are: lists, arrays of integers, of bools (False is
    class 0) or of floats like 3.0, tensors on any device, pandas columns and categories.

    Parameters
    ----------
    labels : (n,) class numbers, -1 where unknown.
    n : number of images.
    n_classes : number of classes, where it is known.
    what : how messages name them.

    Returns
    -------
    (n,) int64, read-only, not the array given.

    Raises
    ------
    DataError
        On another shape (a column, one-hot rows), on fractions, NaN, names and missing values, and
        on numbers that are no class; with the first place where it is so.

    Examples
    --------
    >>> class_numbers([2.0, 0.0, -1.0])
    array([ 2,  0, -1])
    """
    found = _array(labels, what)
    if found.ndim != 1:
        raise DataError(f"{what} must have shape (n,), got {found.shape}. {_shape_remedy(found)}")
    if n is not None and len(found) != n:
        raise DataError(f"{what} has {len(found)} rows but features has {n}.")
    whole = _whole(found, what)
    bad = np.flatnonzero((whole < -1) | (whole >= (np.inf if n_classes is None else n_classes)))
    if len(bad):
        last = "" if n_classes is None else f" There are {n_classes} classes, 0 to {n_classes - 1}."
        raise _refused(what, found, bad, f"no class.{last}")
    whole.setflags(write=False)
    return whole


def _array(labels: Any, what: str) -> np.ndarray:
    """The labels as numpy has them, without a mask or a device."""
    if hasattr(labels, "detach"):  # a tensor of torch, which need not be imported for it
        labels = labels.detach().cpu()
        labels = labels.double() if labels.is_floating_point() else labels  # numpy has no bfloat16
    if np.ma.is_masked(labels):
        raise DataError(f"{what} has masked values. {_ALLOWED}")
    try:
        return np.asarray(labels)
    except (TypeError, ValueError) as error:  # rows of different lengths
        raise DataError(f"{what} is no array of numbers ({error}). {_ALLOWED}") from error


def _shape_remedy(found: np.ndarray) -> str:
    """What to write for an array of another shape."""
    if found.ndim == 2 and found.shape[1] == 1:
        return f"For a column take labels[:, 0]. {_ALLOWED}"
    if found.ndim == 2:
        return f"For one-hot rows or scores take labels.argmax(1). {_ALLOWED}"
    return _ALLOWED


def _whole(found: np.ndarray, what: str) -> np.ndarray:
    """A copy as int64 where every value is a whole number."""
    if found.dtype.kind in "bi":
        return found.astype(np.int64)
    if found.dtype.kind == "O":
        found = _of_objects(found, what)
    if found.dtype.kind == "u":
        limit = np.iinfo(np.int64).max
        _refuse(what, found, found > limit, "no class")
        return found.astype(np.int64)
    if found.dtype.kind != "f":
        named = (
            "a name; number names by class_names.index(name)" if found.dtype.kind in "US" else ""
        )
        _refuse(what, found, np.ones(len(found), bool), named or "no number")
        return np.empty(0, np.int64)
    _refuse(what, found, ~np.isfinite(found), "no class; write -1 where it is unknown")
    _refuse(what, found, found != np.floor(found), "no whole number")
    _refuse(what, found, np.abs(found) >= np.float64(2**53), "no class")
    return found.astype(np.int64)


def _of_objects(found: np.ndarray, what: str) -> np.ndarray:
    """Python's or pandas' own values as int64, float64 or text."""
    if len(found) and all(isinstance(value, str) for value in found):
        return found.astype(np.str_)
    bad = [not isinstance(value, numbers.Real | np.bool_) for value in found]
    _refuse(what, found, np.array(bad, bool), "no number; write -1 where it is unknown")
    try:
        if all(isinstance(value, numbers.Integral | np.bool_) for value in found):
            return found.astype(np.int64)
        return found.astype(np.float64)
    except OverflowError as error:
        raise DataError(f"{what} holds a number too large for a class. {_ALLOWED}") from error


def _refuse(what: str, found: np.ndarray, bad: np.ndarray, why: str) -> None:
    if bad.any():
        raise _refused(what, found, np.flatnonzero(bad), f"{why}.")


def _refused(what: str, found: np.ndarray, bad: np.ndarray, why: str) -> DataError:
    first = found[bad[0]]
    shown = repr(first.item() if isinstance(first, np.generic) else first)[:80]
    return DataError(
        f"{what}: {shown} at place {bad[0]} ({len(bad)} of {len(found)}) is {why} {_ALLOWED}"
    )

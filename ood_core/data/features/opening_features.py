"""From a file of arrays to a `FeatureSet`: what must hold of its arrays, each with its error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ood_core.data.class_numbers import class_numbers
from ood_core.data.features.array_file import ArrayFile, Column
from ood_core.data.features.feature_set import FEATURES, LOGITS, FeatureSet, file_states
from ood_core.data.features.formats import open_arrays
from ood_core.data.features.pictures import pictures_of
from ood_core.data.features.values import rows_of, unicode
from ood_core.data.labels import FitNumbering, RawLabels, number_labels
from ood_core.data.subsets import choose
from ood_core.errors import DataError
from ood_core.experiments import DataSpec

__all__ = ["open_features"]

_PENULTIMATE = "penultimate"
"""What the layer that `features` becomes is called; models, which say so, stand above data."""


def open_features(spec: DataSpec, path: Path, fit: FitNumbering | None = None) -> FeatureSet:
    """The rows of a file of arrays, checked as far as ids, labels and headers tell.

    Parameters
    ----------
    spec : the set.
    path : its file or folder.
    fit : gives the numbering of the fit set that its labels follow.

    Raises
    ------
    DataError
        On arrays that are missing, of wrong shapes, types or lengths; on ids that are not unique
        and on labels that are no classes.
    """
    arrays, where = open_arrays(path), f"data set {spec.name!r}"
    states = file_states(arrays)
    n = _checked(arrays, where)
    ids = _ids(arrays, n, where)
    raw = _labels(arrays, n, where)
    labels, numbering = number_labels(raw, spec, ids, fit)
    chosen = choose(ids, raw, spec)
    pictures = pictures_of(spec, arrays, ids)
    if chosen is not None:
        ids = [ids[i] for i in chosen]
        labels = None if labels is None else labels[chosen]
        pictures = None if pictures is None else [pictures[i] for i in chosen]
    return FeatureSet(
        spec.name, arrays, ids, labels, numbering, chosen=chosen, pictures=pictures, states=states
    )


def _checked(arrays: ArrayFile, where: str) -> int:
    """Number of rows, once every array of numbers has that many."""
    features = arrays.columns.get(FEATURES)
    if features is None:
        raise DataError(
            f"{where}: {str(arrays.path)!r} has no array {FEATURES!r}. It holds: "
            f"{arrays.listed()}. Save the penultimate features, (n, d), under that name."
            + _parquet_hint(arrays)
        )
    n = features.shape[0] if features.shape else 0
    if not n:
        raise DataError(f"{where}: {str(arrays.path)!r} is empty: features has no rows.")
    rows_of(features, n, where)
    if _PENULTIMATE in arrays.columns:
        raise DataError(
            f"{where}: an array is called {_PENULTIMATE!r}, which is what pages call features. "
            "Give it another name, or leave it out."
        )
    for name, column in arrays.columns.items():
        if name == "text" and column.kind == "text" and column.shape != (n,):
            raise DataError(
                f"{where}: text has shape {column.shape}; expected ({n},), one text for each row "
                "of features. Save it so, or leave it out."
            )
        if name in (FEATURES, "labels", "ids", "text") or _describes(column, arrays):
            continue
        rows_of(column, n, where)
    return n


def _describes(column: Column, arrays: ArrayFile) -> bool:
    """Whether an array says something of the rows or the file and is no layer: a single value,
    texts, and in a table any column of single values."""
    if column.name != LOGITS and (column.kind == "text" or not column.shape):
        return True
    return arrays.format == "Parquet" and len(column.shape) == 1 and column.name != LOGITS


def _parquet_hint(arrays: ArrayFile) -> str:
    if arrays.format != "Parquet":
        return ""
    return (
        " In a table that is a column of lists, or one column for each: features_0, features_1, …"
    )


def _ids(arrays: ArrayFile, n: int, where: str) -> list[str]:
    column = arrays.columns.get("ids")
    if column is None:
        return [f"{arrays.path.name}/{i}" for i in range(n)]
    whole = column.kind == "number" and not column.dtype.startswith(("float", "bfloat", "double"))
    if column.shape != (n,) or not (whole or column.kind == "text"):
        raise DataError(
            f"{where}: ids has shape {column.shape} and type {column.dtype}; expected ({n},), text "
            "or whole numbers, one for each row of features."
        )
    ids = [unicode(str(value)) for value in column.read(0, n).tolist()]
    if len(set(ids)) < n:
        seen: dict[str, int] = {}
        for row, name in enumerate(ids):
            if name in seen:
                raise DataError(
                    f"{where}: the id {name!r} is that of row {seen[name]} and of row {row} "
                    f"({n - len(set(ids)):,} repeat another). Ids must be unique; without an array "
                    "ids the rows are numbered."
                )
            seen[name] = row
    return ids


def _labels(arrays: ArrayFile, n: int, where: str) -> RawLabels | None:
    column = arrays.columns.get("labels")
    if column is None:
        return None
    if column.kind == "other":
        raise DataError(
            f"{where}: labels has values of type {column.dtype}; expected class numbers, or names."
        )
    found = column.read(0, max(n, column.shape[0] if column.shape else 0))
    if column.kind == "text" and found.shape == (n,):
        return [name or -1 for name in found.tolist()]
    try:
        numbers: Sequence[int] = class_numbers(found, n=n).tolist()
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    return numbers

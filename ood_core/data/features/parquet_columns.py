"""Parquet tables as files of arrays: list columns, or one column for each feature.

A column of lists is an array of its name. Columns `NAME_0`, `NAME_1`, … (or `NAME.0`, `NAME0`)
are the array NAME; where there is nothing called `features`, the columns `0`, `1`, … or those of
the one such name are the features.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ood_core.data.features.array_file import ArrayFile, Column
from ood_core.errors import DataError

__all__ = ["read_parquet"]

_BATCH = 1024
_NUMBERED = re.compile(r"(.*?)[_.]?([0-9]+)")


def read_parquet(path: Path) -> ArrayFile:
    """The columns of a table as arrays; nothing but its schema and first rows is read."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
        schema, n = table.schema_arrow, table.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{str(path)!r} is damaged or cut short: {error}.") from error
    groups = _groups([f.name for f in schema if _is_number(f.type)])
    grouped = {name for names in groups.values() for name in names}
    columns: dict[str, Column] = {}
    for name, names in groups.items():
        rows = _Rows(path, name, names, None)
        dtype = str(schema.field(names[0]).type)
        columns[name] = Column(name, (n, len(names)), dtype, "number", rows.read)
    for field in schema:
        if field.name not in grouped:
            columns[field.name] = _column(path, field, n)
    return ArrayFile(path, "Parquet", columns, (path,))


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind))


def _is_text(kind: Any) -> bool:
    """Whether values are texts, or bytes, which are read as UTF-8 as NumPy's are."""
    from pyarrow import types

    return any(
        check(kind)
        for check in (
            types.is_string,
            types.is_large_string,
            types.is_binary,
            types.is_large_binary,
        )
    )


def _groups(names: list[str]) -> dict[str, list[str]]:
    """Array name -> its columns in order, of columns that are numbered without a gap."""
    numbered: dict[str, dict[int, str]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match:
            numbered.setdefault(match[1], {})[int(match[2])] = name
    found = {}
    for stem, by_number in numbered.items():
        first = min(by_number)
        if first in (0, 1) and sorted(by_number) == list(range(first, first + len(by_number))):
            found[stem] = [by_number[i] for i in sorted(by_number)]
    wide = {stem: columns for stem, columns in found.items() if len(columns) > 1}
    if "features" not in names and "features" not in found:
        alone = "" if "" in wide else next(iter(wide), None) if len(wide) == 1 else None
        if alone is not None and alone != "logits":
            wide = {"features" if stem == alone else stem: c for stem, c in wide.items()}
    elif "features" in found:
        wide["features"] = found["features"]
    wide.pop("", None)
    return wide


def _column(path: Path, field: Any, n: int) -> Column:
    from pyarrow import types

    kind, rows = field.type, _Rows(path, field.name, [field.name], field.type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = "number" if _is_number(kind.value_type) else "other"
        width = rows.width(n) if inner == "number" else 0
        return Column(field.name, (n, width), str(kind.value_type), inner, rows.read)
    if types.is_dictionary(kind):
        kind = kind.value_type
    one = "number" if _is_number(kind) else "text" if _is_text(kind) else "other"
    return Column(field.name, (n,), str(kind), one, rows.read)


class _Rows:
    """Rows of columns, read batch by batch: on from where the last ones ended, else anew."""

    def __init__(self, path: Path, name: str, columns: list[str], single: Any) -> None:
        self.path, self.name, self.columns, self.single = path, name, columns, single
        self._prepare()

    def _prepare(self) -> None:
        self._lock = threading.Lock()
        self._batches: Iterator[Any] = iter(())
        self._held, self._start = np.empty(0), -1
        self._width: int | None = None

    def width(self, n: int) -> int:
        """Values of the first row of a column of lists."""
        return int(self.read(0, 1).shape[1]) if n else 0

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start to stop."""
        with self._lock:
            if self._start < 0 or start < self._start:
                self._batches, self._held, self._start = self._opened(), np.empty(0), 0
            parts, at = [], start
            while True:
                end = self._start + len(self._held)
                if at < end:
                    parts.append(self._held[at - self._start : stop - self._start])
                    at = min(stop, end)
                batch = next(self._batches, None) if at < stop else None
                if batch is None:
                    break
                self._start, self._held = end, self._array(batch, end)
        return np.concatenate(parts) if parts else self._held[:0]

    def _opened(self) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet

        try:
            table = pyarrow.parquet.ParquetFile(self.path)
            yield from table.iter_batches(_BATCH, columns=self.columns, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{str(self.path)!r} is damaged or cut short: {error}.") from error

    def _array(self, batch: Any, first: int) -> np.ndarray:
        if self.single is None:
            named = [batch.column(name) for name in self.columns]
            return np.column_stack([column.to_numpy(zero_copy_only=False) for column in named])
        column = batch.column(0)
        if hasattr(column, "flatten") and hasattr(column.type, "value_type"):
            from pyarrow import types

            if not types.is_dictionary(column.type):
                return self._of_lists(column, first)
            column = column.dictionary_decode()
        return _scalars(column)

    def _of_lists(self, column: Any, first: int) -> np.ndarray:
        """Lists of one length as rows."""
        import pyarrow.compute as pc

        lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
        self._width = int(lengths[0]) if self._width is None else self._width
        if self._width < 0:
            raise DataError(
                f"{str(self.path)!r}: row {first} of {self.name!r} has no list; every row needs "
                "one."
            )
        bad = np.flatnonzero(lengths != self._width)
        if len(bad):
            has = "no list" if lengths[bad[0]] < 0 else f"{lengths[bad[0]]} values"
            raise DataError(
                f"{str(self.path)!r}: row {first + bad[0]} of {self.name!r} has {has} where the "
                f"first has {self._width}: every row needs as many."
            )
        values = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(values).reshape(len(column), self._width)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()


def _scalars(column: Any) -> np.ndarray:
    """Texts as str, "" where there is none; numbers as they are, -1 where there is none."""
    from pyarrow import types

    if _is_text(column.type):
        texts = ("" if v is None else v for v in column.to_pylist())
        found = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in texts]
        return np.array(found, np.str_)
    if column.null_count and (types.is_integer(column.type) or types.is_floating(column.type)):
        column = column.fill_null(-1)  # labels: unknown; pandas makes floats of whole numbers
    return np.asarray(column.to_numpy(zero_copy_only=False))

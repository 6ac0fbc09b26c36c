"""Image sets whose images are bytes in a column of a Parquet table."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ood_core.data.image_set import BrokenImageError
from ood_core.data.labelled_images import ListedSet
from ood_core.data.numbering import Numbering
from ood_core.data.parquet_lists import ImageColumn
from ood_core.experiments.listing import LeftOut
from ood_core.runtime.bounded import Bounded

__all__ = ["ParquetSet"]

_GROUPS = 2
"""Row groups held at a time: images are asked for in order, by threads close to each other."""


class ParquetSet(ListedSet):
    """Images in a Parquet table, read a row group at a time.

    Parameters
    ----------
    file : the table.
    column : where its images are.
    rows : (n,) row of each image.
    name, ids, labels, numbering, left_out : as in `ListedSet`.
    """

    def __init__(
        self,
        name: str,
        file: Path,
        column: ImageColumn,
        rows: np.ndarray,
        ids: Sequence[str],
        labels: np.ndarray | None = None,
        numbering: Numbering | None = None,
        left_out: tuple[LeftOut, ...] = (),
    ) -> None:
        super().__init__(name, ids, labels, numbering, left_out)
        self.file = file
        self._column = column
        self._rows = rows
        self._prepare()

    def _prepare(self) -> None:
        self._lock = threading.Lock()
        self._groups: Bounded[int, Any] = Bounded(_GROUPS)

    @cached_property
    def identity(self) -> str:
        """Hash of the table's size, time of change and footer, of column and rows, and labels."""
        with open(self.file, "rb") as stream:
            stat = os.fstat(stream.fileno())
            stream.seek(-8, 2)
            length = int.from_bytes(stream.read(4), "little")
            stream.seek(-min(8 + length, stat.st_size), 2)
            footer = stream.read()
        digest = hashlib.sha256(f"{self._column.leaf}\0{stat.st_size}\0{stat.st_mtime_ns}".encode())
        digest.update(hashlib.sha256(footer).digest())
        digest.update(self._rows.astype("<i8").tobytes())
        digest.update(self._label_digest())
        return digest.hexdigest()

    def _bytes(self, index: int) -> bytes:
        import pyarrow

        row, starts = int(self._rows[index]), self._starts
        group = int(np.searchsorted(starts, row, side="right")) - 1
        try:
            with self._lock:
                cells = self._groups.get(group, lambda: self._read(group))
            found = cells[row - int(starts[group])].as_py()
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            reason = str(error).split("\n")[0]
            raise BrokenImageError(f"{self._shown(index)}: cannot be read ({reason}).") from error
        if found is not None and self._column.field:
            found = found[self._column.field]
        if found is None:
            raise BrokenImageError(f"{self._shown(index)}: the table holds no image here.")
        return bytes(found)

    def _shown(self, index: int) -> str:
        return f"{self.file.name}/{self._ids[index]}"

    def _read(self, group: int) -> Any:
        return self._table.read_row_group(group, columns=[self._column.leaf]).column(0)

    @cached_property
    def _table(self) -> Any:
        import pyarrow.parquet

        return pyarrow.parquet.ParquetFile(self.file)

    @cached_property
    def _starts(self) -> np.ndarray:
        """First row of each row group."""
        meta = self._table.metadata
        counts = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
        return np.cumsum([0, *counts[:-1]])

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("_lock", "_groups", "_table", "_starts")
        return {k: v for k, v in self.__dict__.items() if k not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

"""From the file of a list or table to an image set: what it says, and where the images are."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ood_core.data.files import FileSet
from ood_core.data.labelled_images import ListedSet
from ood_core.data.list_entries import Entries
from ood_core.data.list_files import find_root, list_places, without_repeats
from ood_core.data.list_tables import Columns
from ood_core.data.list_text import ListFile
from ood_core.data.lists import column_names, read_list
from ood_core.data.numbering import Numbering
from ood_core.data.parquet_lists import ImageColumn, is_parquet, parquet_columns, read_parquet
from ood_core.data.parquet_set import ParquetSet
from ood_core.data.table_classes import by_name
from ood_core.experiments import DataSpec
from ood_core.experiments.listing import LeftOut

__all__ = ["Listed", "listed_columns", "read_entries", "read_listed"]


@dataclass(frozen=True)
class Listed:
    """What a list or table holds.

    Parameters
    ----------
    spec : the data set.
    file : the list or table.
    entries : its images, each once.
    root : folder that the paths are relative to.
    column : where the images are in the table itself, else None.
    left_out : entries that name an image again.
    """

    spec: DataSpec
    file: Path
    entries: Entries
    root: Path
    column: ImageColumn | None = None
    left_out: tuple[LeftOut, ...] = ()

    def image_set(
        self, ids: Sequence[str], labels: np.ndarray | None, numbering: Numbering | None
    ) -> ListedSet:
        """The set of these of the images."""
        name, about = self.spec.name, (labels, numbering, self.left_out)
        if self.column is None:
            return FileSet(name, self.root, ids, *about)
        row = {path: i for i, path in enumerate(self.entries.paths)}
        rows = np.fromiter((row[i] for i in ids), np.int64, len(ids))
        return ParquetSet(name, self.file, self.column, rows, ids, *about)


def read_listed(spec: DataSpec, path: Path, root: Path | None) -> Listed:
    """Read an image list or a table.

    Parameters
    ----------
    spec : the data set, of kind image_list or manifest.
    path : the list or table.
    root : folder that its paths are relative to, where one is given.

    Raises
    ------
    DataError
        When it cannot be read, or none of its images is there.
    """
    file = ListFile(path, spec)
    columns = Columns(spec.options.get("path_column"), spec.options.get("label_column"))
    places = list_places(path, root)
    entries, column = read_entries(file, columns, places)
    if column is not None:
        return Listed(spec, path, entries, path.parent, column)
    found, paths = find_root(file, places, entries.paths)
    once, again = without_repeats(dataclasses.replace(entries, paths=paths), found, file)
    left_out = tuple(LeftOut(paths[i], "named again") for i in again)
    return Listed(spec, path, once, found, None, left_out)


def read_entries(
    file: ListFile, columns: Columns, places: Sequence[Path]
) -> tuple[Entries, ImageColumn | None]:
    """Entries of a list or table of any kind, and the column of its images where it holds those.

    Parameters
    ----------
    file : the list or table.
    columns : what the columns of a table are called.
    places : folders that its paths may be relative to.

    Raises
    ------
    DataError
        When it cannot be read.
    """
    if is_parquet(file):
        entries, column = read_parquet(file, columns)
    else:
        column = None
        entries = read_list(file, columns, lambda image: _there(places, image))
    return by_name(entries, file), column


def listed_columns(file: ListFile) -> list[str]:
    """What a table calls its columns.

    Raises
    ------
    DataError
        When it cannot be read.
    """
    return parquet_columns(file) if is_parquet(file) else column_names(file)


def _there(places: Sequence[Path], image: str) -> bool:
    return any(os.path.isfile(os.path.join(place, image)) for place in places)

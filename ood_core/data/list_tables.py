"""Tables as text: a first line that names columns, in whatever separator it uses."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ood_core.data.list_entries import Row
from ood_core.data.list_text import ListFile, list_lines
from ood_core.errors import DataError, did_you_mean

__all__ = ["Columns", "Header", "column_rows", "find_header", "possible_headers", "table_rows"]

_SEPARATORS = (",", "\t", ";", "|")
_SEPARATOR_LINE = re.compile(r"sep=(.)")
"""First line that Excel writes and reads where the separator is not the country's."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns of paths and labels; None where they are not given.

    Without them the paths are in "path" and the labels, if there are any, in "label"; where no
    column is called just so, in "Path" or "LABEL".
    """

    path_column: str | None = None
    label_column: str | None = None

    @property
    def path(self) -> str:
        """Name of the column of paths."""
        return self.path_column or "path"

    def find(self, names: Sequence[str], file: ListFile) -> tuple[int, int | None]:
        """Numbers of the columns of paths and labels.

        Raises
        ------
        DataError
            When a column is missing or there are several of its name.
        """
        path = _called(self.path_column, "path", names)
        label = _called(self.label_column, "label", names)
        if not path:
            raise self.missing(self.path, names, file)
        if self.label_column is not None and not label:
            raise self.missing(self.label_column, names, file)
        for found in (path, label):
            if len(found) > 1:
                raise file.error(
                    f"{{}} has {len(found)} columns called {names[found[0]]!r}; which one is meant "
                    "cannot be told. Rename the others."
                )
        if path == label:
            raise file.error(f"{{}}: {names[path[0]]!r} is both path_column and label_column.")
        return path[0], label[0] if label else None

    def has_path(self, names: Iterable[str]) -> bool:
        """Whether one of these is the column of paths."""
        return bool(_called(self.path_column, "path", list(names)))

    def missing(self, wanted: str, names: Sequence[str], file: ListFile) -> DataError:
        """Error that names the columns there are."""
        return file.error(
            f"{{}} has no column {wanted!r}. {did_you_mean(wanted, list(names))} Set path_column "
            "or label_column."
        )

    def refuse_list(self, file: ListFile) -> None:
        """Raise where columns are named but the file begins with an image."""
        named = self.path_column or self.label_column
        if named:
            raise file.error(
                f"{{}} has no column {named!r}: its first line names an image. Write a first line "
                "that names the columns, or leave path_column and label_column out."
            )

    def has_label(self, names: Sequence[str]) -> bool:
        """Whether one of these is the column of labels."""
        return bool(_called(self.label_column, "label", names))


def _called(given: str | None, usual: str, names: Sequence[str]) -> list[int]:
    """Numbers of the columns called so; case counts unless nothing else is called as usual."""
    exact = [i for i, name in enumerate(names) if name == (given or usual)]
    return exact or [i for i, name in enumerate(names) if not given and name.lower() == usual]


@dataclass(frozen=True)
class Header:
    """First line of a table.

    Parameters
    ----------
    names : of the columns.
    separator : between cells.
    skipped : lines before it.
    """

    names: list[str]
    separator: str
    skipped: int = 0

    @classmethod
    def of(cls, line: str, file: ListFile) -> Header:
        """The line in the separator of which it holds most."""
        likely = sorted(_separators(file), key=lambda separator: -line.count(separator))
        return cls(_cells(line, likely[0]) or [line], likely[0])

    def missing(self, file: ListFile, columns: Columns) -> DataError:
        """Error that names the columns there are."""
        return columns.missing(columns.path, self.names, file)


def find_header(text: str, file: ListFile, columns: Columns) -> Header | None:
    """The first line that says something, where it names the column of paths."""
    found = possible_headers(text, file)
    if not found and file.noun == "manifest":
        raise file.error("the manifest {} is empty.")
    tables = [header for header in found if columns.has_path(header.names)]
    if file.noun == "list" and not any(columns.path in header.names for header in tables):
        tables = [header for header in tables if columns.has_label(header.names)]
    return tables[0] if tables else None


def possible_headers(text: str, file: ListFile) -> list[Header]:
    """The first line that says something, cut at each separator that may be meant."""
    separators = _separators(file)
    for number, raw in enumerate(list_lines(text)):
        line = raw.strip("\r\n\ufeff")
        declared = _SEPARATOR_LINE.fullmatch(line.strip())
        if declared:
            separators = (declared[1],)
        elif line.strip() and not line.lstrip().startswith("#"):
            return [Header(_cells(line, sep) or [line], sep, number) for sep in separators]
    return []


def table_rows(text: str, header: Header, file: ListFile, columns: Columns) -> Iterator[Row]:
    """Line number, path and label of each row below the header; rows without a word are skipped."""
    path, label = columns.find(header.names, file)
    lines = list_lines(text)
    for _ in range(header.skipped + 1):
        next(lines)
    reader = csv.reader(lines, delimiter=header.separator, skipinitialspace=True, strict=True)
    number = header.skipped + 1
    try:
        for row in reader:
            number, before = header.skipped + 1 + reader.line_num, number
            if not any(map(str.strip, row)):
                continue
            if len(row) != len(header.names):
                cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
                raise file.error(
                    f"line {before + 1} of {{}} has {cells}, the header has {len(header.names)}."
                )
            yield before + 1, _path(row[path], before + 1, file, columns), _label(row, label)
    except csv.Error as error:
        if file.most is not None and "unexpected end" in str(error):
            return  # cut off within a quoted cell
        raise file.error(f"line {number + 1} of {{}} is not a table ({error}).") from error


def column_rows(
    values: Mapping[str, Sequence[Any]], file: ListFile, columns: Columns
) -> Iterator[Row]:
    """Row number, path and label of columns that hold values: numbers, text or None."""
    names = list(values)
    path, label = columns.find(names, file)
    paths = values[names[path]]
    labels = None if label is None else values[names[label]]
    for number, value in enumerate(paths, 1):
        cell = None if labels is None else "" if labels[number - 1] is None else labels[number - 1]
        if isinstance(cell, bytes):  # text that another program stored as binary
            cell = cell.decode("utf-8", "backslashreplace")
        yield number, _path(value, number, file, columns, "row"), cell


def _label(row: list[str], column: int | None) -> str | None:
    return None if column is None else row[column]


def _path(value: Any, number: int, file: ListFile, columns: Columns, unit: str = "line") -> str:
    text = "" if value is None else str(value).strip()
    if not text:
        raise file.error(f"{unit} {number} of {{}} has an empty {columns.path!r}.")
    return text


def _cells(line: str, separator: str) -> list[str] | None:
    try:
        row = next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True), [])
    except csv.Error:
        return None
    return [cell.strip() for cell in row]


def _separators(file: ListFile) -> tuple[str, ...]:
    """What may stand between cells; that which the file's name promises first."""
    usual = "\t" if file.suffix in (".tsv", ".tab") else ","
    return (usual, *(separator for separator in _SEPARATORS if separator != usual))

"""Tables as text: a first line that names columns, in whatever separator it uses."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
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

    Without them the paths are in "path" and the labels, if there are any, in "label".
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
        if self.path not in names:
            raise self.missing(self.path, names, file)
        if self.label_column is not None and self.label_column not in names:
            raise self.missing(self.label_column, names, file)
        label = self.label_column or "label"
        for name in (self.path, label):
            if (count := list(names).count(name)) > 1:
                raise file.error(
                    f"{{}} has {count} columns called {name!r}; which one is meant cannot be told. "
                    "Rename the others."
                )
        return names.index(self.path), names.index(label) if label in names else None

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
    return next((header for header in found if columns.path in header.names), None)


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

"""From rows of a list or table to entries: labels that agree, and every image once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ood_core.data.list_text import ListFile, short

__all__ = ["Entries", "Row", "collect"]

Row = tuple[int, str, Any]
"""Number of the line or row, path, and label: a cell as it stands, or None where there is none."""

_PLAIN = re.compile(r"-?(0|[1-9][0-9]*)")
"""A whole number as it is usually written; `01` may be the name of a class."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UNKNOWN = ("", "nan", "NaN", "<NA>")
"""Cells without a label; "nan" is what table programs write for a missing number."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LONGEST = 4096
"""Longest path in characters that a system opens (Linux: PATH_MAX)."""


@dataclass(frozen=True)
class Entries:
    """What a list or table says.

    Parameters
    ----------
    paths : of each image.
    labels : a number (-1 = unknown) or a name for each, or None for all.
    class_names : what the numbers mean, where the table says so.
    """

    paths: list[str]
    labels: list[str | int] | None
    class_names: tuple[str, ...] | None = None


def collect(rows: Iterable[Row], file: ListFile, unit: str = "line") -> Entries:
    """Paths and labels of all rows.

    Raises
    ------
    DataError
        When there are none, a path or label cannot be one, or only some have labels.
    """
    reader = _LabelReader(file)
    paths: list[str] = []
    labels: list[str | int] = []
    without: tuple[int, str] | None = None
    for number, path, cell in rows:
        try:
            paths.append(_checked_path(path))
            if cell is None:
                without = without or (number, path)
            else:
                labels.append(reader.read(cell))
        except ValueError as error:
            raise file.error(f"{unit} {number} of {{}}: {error}") from error
    if not paths:
        raise file.error(f"the {file.noun} {{}} names no images.")
    if without and labels:
        raise file.error(
            f"{unit} {without[0]} of {{}} has no label but others have; write -1 where it is "
            f"unknown. It reads {short(without[1])}."
        )
    return Entries(paths, labels or None)


@dataclass
class _LabelReader:
    """Cells to labels, each spelling looked at once."""

    file: ListFile
    known: dict[Any, str | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [*(self.file.spec.options.get("class_names") or ()), *self.file.label_map]
        self.known.update({n: n for n in names if not _PLAIN.fullmatch(n)})

    def read(self, cell: Any) -> str | int:
        """The label that a cell means; ValueError where it means none."""
        if type(cell) is str and (known := self.known.get(cell)) is not None:
            return known
        if isinstance(cell, list | dict):
            if self.file.labels_matter:
                raise ValueError(f"label {short(cell)} is neither a class number nor a name.")
            return -1
        text = str(cell).strip()
        label = self.known.get(text)
        if label is None:
            label = self.known[text] = self._of(text)
        return label

    def _of(self, text: str) -> str | int:
        if text in _UNKNOWN:
            return -1
        if not _NUMBER.fullmatch(text):
            return text
        value = float(text)
        whole, small = value.is_integer(), abs(value) < 2**31
        if not (whole and small) and not self.file.labels_matter:
            return text
        if not small:
            raise ValueError(f"label {short(text)} is too large for a class number.")
        if not whole:
            raise ValueError(
                f"label {short(text)} is no whole number. Classes are counted from 0, -1 is "
                "unknown; numbers that are names belong into class_names or label_map."
            )
        return int(value)


def _checked_path(path: str) -> str:
    """The path, of a `file:` address or below the home folder (`~/`) the absolute one.

    ValueError when it can be no file's.
    """
    if len(path) > _LONGEST:
        raise ValueError(f"{short(path)} cannot be the name of a file: it is too long.")
    if "\0" in path or not (path.isascii() or _encodable(path)):
        raise ValueError(f"{short(path)} cannot be the name of a file.")
    if path.startswith("~/"):
        return os.path.expanduser(path)
    if "://" not in path or not _ADDRESS.match(path):
        return path
    parts = urlsplit(path)
    if parts.scheme.lower() != "file":
        raise ValueError(
            f"{short(path)} is an address; only files are read. Download the images and list "
            "their paths."
        )
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"{short(path)} is on another machine. List paths of this one.")
    return url2pathname(path[path.index("://") + 3 + len(parts.netloc) :])


def _encodable(path: str) -> bool:
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True

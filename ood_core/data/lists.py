"""Image lists (`relative/path label`) and tables (columns with names): one reader for both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

from ood_core.data.json_lists import json_columns, json_rows, looks_like_json
from ood_core.data.list_entries import Entries, Row, collect
from ood_core.data.list_tables import Columns, Header, find_header, possible_headers, table_rows
from ood_core.data.list_text import ListFile, list_lines, list_text, short
from ood_core.experiments.sources import image_suffixes

__all__ = ["column_names", "read_list"]

There = Callable[[str], bool]
"""Whether an image of this path exists: it decides where a line can be read in two ways."""

_NUMBERED = re.compile(
    r"(?P<path>.*[^\s,;])[ \t]*(?P<separator>[\t,; ])[ \t]*(?P<label>[+-]?\d+)", re.DOTALL
)
"""A line whose path has no suffix of an image: only a number can be told from the path."""
_QUOTED = re.compile(
    r"""(?P<quote>["'])(?P<path>.+?)(?P=quote)"""
    r"(?:[ \t]*(?P<separator>[\t,; ])[ \t]*(?P<label>.*))?",
    re.DOTALL,
)
_COUNT = re.compile(r"[+-]?[\d.]+")
_SETTLED = 3
_PATH_WORDS = frozenset(
    {"path", "image", "img", "file", "name", "id", "filename", "filepath"}
    | {f"{what}_{of}" for what in ("image", "img", "file") for of in ("path", "name", "id")}
    | {"paths", "images", "files", "filenames"}
)
"""What headers call the column of paths."""


def read_list(file: ListFile, columns: Columns, there: There) -> Entries:
    """Entries of a list or table, whatever its separator, encoding and packing.

    A first line that names the column of paths makes it a table. Otherwise each line is one
    image: its path and, after a tab, comma, semicolon or spaces, its label: a number, a class
    name, or missing on all lines. Paths may hold spaces and may be quoted. Empty lines and lines
    that begin with # are skipped.

    Parameters
    ----------
    file : the list.
    columns : what the columns of a table are called.
    there : see `There`.

    Raises
    ------
    DataError
        When it cannot be read, names no images, or can be read in no or in two ways.
    """
    text = list_text(file)
    if looks_like_json(text, file):
        return collect(json_rows(text, file, columns), file, "row")
    header = find_header(text, file, columns)
    if header is not None:
        return collect(table_rows(text, header, file, columns), file)
    return collect(_list_rows(text, file, columns, there), file)


def column_names(file: ListFile) -> list[str]:
    """What a table calls its columns, if it is one; the first line of a list in pieces.

    Raises
    ------
    DataError
        When it cannot be read.
    """
    text = list_text(file)
    if looks_like_json(text, file):
        return json_columns(text, file)
    headers = possible_headers(text, file)
    return max((header.names for header in headers), key=len, default=[])


def _list_rows(text: str, file: ListFile, columns: Columns, there: There) -> Iterator[Row]:
    split, first = _Splitter(there), True
    for number, raw in enumerate(list_lines(text), 1):
        line = raw.strip().lstrip("\ufeff")
        if not line or line.startswith("#"):
            continue
        if first:
            first = False
            if _is_header(line, number, file, columns, there):
                continue
        try:
            yield (number, *split(line))
        except ValueError as error:
            raise file.error(f"line {number} of {{}} {error}") from error


def _is_header(line: str, number: int, file: ListFile, columns: Columns, there: There) -> bool:
    """Whether the first line of a list names its columns, path first."""
    if _entry().fullmatch(line) or (_QUOTED.fullmatch(line) and "." in line):
        columns.refuse_list(file)
        return False
    cells = [cell.strip("\"'").lower() for cell in re.split(r"[\t,; ]+", line)]
    if file.noun == "manifest" and cells[0] != columns.path:
        raise Header.of(line, file).missing(file, columns)
    if _NUMBERED.fullmatch(line) or there(line) or not _PATH_WORDS.intersection(cells):
        return False
    if cells[0] not in _PATH_WORDS:
        raise file.error(
            f"line {number} of {{}} names columns of which the first is not the path "
            f"({short(line)}). Give it as manifest = … with path_column and label_column."
        )
    return True


@cache
def _entry() -> re.Pattern[str]:
    """A line whose path ends like an image's."""
    suffixes = "|".join(sorted(suffix[1:] for suffix in image_suffixes()))
    return re.compile(
        rf"(?P<path>.*\.(?:{suffixes}))(?:[ \t]*(?P<separator>[\t,; ])[ \t]*(?P<label>.*))?",
        re.IGNORECASE | re.DOTALL,
    )


class _Splitter:
    """Lines of one list to path and label.

    Parameters
    ----------
    there : see `There`.
    """

    def __init__(self, there: There) -> None:
        self._there = there
        self._seen: Counter[str] = Counter()

    def __call__(self, line: str) -> tuple[str, str | None]:
        """Path and label of a line; ValueError where it holds more."""
        path, separator, label = self._parts(line)
        if label is None or label.isdecimal() or _COUNT.fullmatch(label):
            return path, label
        if len(label) > 1 and label[0] == label[-1] and label[0] in "\"'":
            return path, label[1:-1].replace('""', '"')
        if separator == " " and (longer := self._longer(line, path, label)):
            return longer
        words = [word for word in re.split(r"[\s,;|]+", label) if word]
        if separator == " ":
            several = len(words) > 1 and _COUNT.fullmatch(words[0]) is not None
        else:
            label = label.rstrip(f"{separator} ")
            several = separator in label
        if several or (len(words) > 1 and all(map(_COUNT.fullmatch, words))):
            raise ValueError(
                f"has more than a path and a label: {short(line)}. Quote labels that hold "
                "separators; give a table of more columns as manifest = … with a first line that "
                "names them."
            )
        return path, label

    def _parts(self, line: str) -> tuple[str, str, str | None]:
        """Path, separator and label of a line; no label where nothing separates one."""
        quoted = _QUOTED.fullmatch(line) if line[0] in "\"'" else None
        # Quotes may also be part of a name.
        if quoted and not (
            _entry().fullmatch(quoted["label"] or "")
            or self._there(line)
            or self._there(line[: quoted.end("path") + 1])
        ):
            return quoted["path"], quoted["separator"] or "", quoted["label"]
        found = _entry().fullmatch(line)
        if found is None and "\t" in line:
            path, separator, label = line.rpartition("\t")
            return path.rstrip(), separator, label
        found = found or _NUMBERED.fullmatch(line)
        if found is None:
            return line, "", None
        return found["path"], found["separator"] or "", found["label"]

    def _longer(self, line: str, path: str, label: str) -> tuple[str, str | None] | None:
        """Path and label where more of a line than what ends in `.png` is the path.

        In `a.png (1) cat` the label may be `(1) cat`, or the file may be called `a.png (1)`. A
        label that was the whole label several times is so again: the disk is not asked each time.
        """
        if self._seen[label] >= _SETTLED:
            return None
        if self._there(line):
            return line, None
        longer, _, last = line.rpartition(" ")
        longer = longer.rstrip()
        if longer != path:
            number = re.fullmatch(r"[+-]?\d+", last) and not self._there(path)
            if number or self._there(longer):
                return longer, last
        self._seen[label] += 1
        return None

"""Image lists in JSON and JSON Lines: records, columns, pairs or paths with their labels."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ood_core.data.list_entries import Row
from ood_core.data.list_tables import Columns, column_rows
from ood_core.data.list_text import ListFile, list_lines, short
from ood_core.errors import DataError
from ood_core.experiments.sources import is_image_name

__all__ = ["json_columns", "json_rows", "looks_like_json"]

_SUFFIXES = (".json", ".jsonl", ".ndjson")
_BEGINNING = re.compile(r'\ufeff?\s*(\{\s*"|\[\s*["{\[])')


def looks_like_json(text: str, file: ListFile) -> bool:
    """Whether a list is JSON, by its name or its first characters."""
    return file.suffix in _SUFFIXES or _BEGINNING.match(text) is not None


def json_rows(text: str, file: ListFile, columns: Columns) -> Iterator[Row]:
    """Row number, path and label of each image in a JSON text.

    One value, or one on each line: records `{"path": …, "label": …}`, columns
    `{"path": […], "label": […]}`, pairs `["a.png", 3]`, paths, or labels by path
    `{"a.png": 3}`.

    Raises
    ------
    DataError
        When it is not JSON, or has another shape.
    """
    values = _values(text, file)
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    elif len(values) == 1 and isinstance(values[0], dict):
        table = values[0]
        if table and all(isinstance(v, list | dict) for v in table.values()):
            yield from _column_rows(table, file, columns)
            return
        if not columns.has_path(table) and any(map(is_image_name, map(_last, table))):
            values = [[path, label] for path, label in table.items()]
    for number, value in enumerate(values, 1):
        yield (number, *_entry(value, number, file, columns))


def json_columns(text: str, file: ListFile) -> list[str]:
    """Names of the columns or of the keys of the first record; none where there are neither."""
    values = _values(text, file)
    first = values[0] if values else None
    if isinstance(first, list):
        first = first[0] if first else None
    return list(first) if isinstance(first, dict) else []


def _entry(value: Any, number: int, file: ListFile, columns: Columns) -> tuple[str, Any]:
    if isinstance(value, dict):
        row = next(iter(column_rows({k: [v] for k, v in value.items()}, file, columns)))
        return row[1:]
    if isinstance(value, str):
        return value, None
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return value[0], "" if value[1] is None else value[1]
    raise file.error(
        f"row {number} of {{}} is {short(value)}; images are given as records "
        f'{{"{columns.path}": …, "label": …}}, as pairs ["a.png", 3] or as paths.'
    )


def _column_rows(table: dict[str, Any], file: ListFile, columns: Columns) -> Iterator[Row]:
    """Rows of columns, each a list of cells or cells by row name as pandas writes them."""
    plain = {k: list(v.values()) if isinstance(v, dict) else v for k, v in table.items()}
    chosen = columns.find(list(plain), file)
    names = [list(plain)[i] for i in chosen if i is not None]
    if len({len(plain[name]) for name in names}) > 1:
        raise file.error(f"{{}}: the columns {' and '.join(names)} are not of one length.")
    yield from column_rows(plain, file, columns)


def _values(text: str, file: ListFile) -> list[Any]:
    """All of a text as one value, else one value a line."""
    try:
        return [_value(text.lstrip("\ufeff"), file)]
    except _NoJsonError as error:
        whole = error
    values = []
    for number, line in enumerate(list_lines(text), 1):
        if not line.strip():
            continue
        try:
            values.append(_value(line.lstrip("\ufeff"), file))
        except _NoJsonError as error:
            at, said = (number, error.said) if values else (whole.line, whole.said)
            raise file.error(f"{{}} is not JSON (line {at}: {said}).") from error
    return values


class _NoJsonError(Exception):
    """A text that is not one JSON value: the line in it, and why."""

    def __init__(self, line: int, said: str) -> None:
        super().__init__(said)
        self.line, self.said = line, said


def _value(text: str, file: ListFile) -> Any:
    """The value of a JSON text."""
    try:
        return json.loads(text, object_pairs_hook=_Once(file))
    except DataError:  # a ValueError too
        raise
    except RecursionError:
        raise file.error("{} is not a list of images: it is nested too deep.") from None
    except json.JSONDecodeError as error:
        raise _NoJsonError(error.lineno, error.msg) from error
    except ValueError as error:  # a number of thousands of digits
        raise _NoJsonError(1, str(error)) from error


class _Once:
    """Objects whose keys are all different: `json` keeps the last of equal ones silently."""

    def __init__(self, file: ListFile) -> None:
        self._file = file

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            count = Counter(key for key, _ in pairs)
            again = next(key for key, times in count.items() if times > 1)
            raise self._file.error(f"an object in {{}} names {short(again)} twice.")
        return found


def _last(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]

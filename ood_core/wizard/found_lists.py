"""Lists and tables of images found on disk: which column is what, and where the images are."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from ood_core.data.list_files import find_root, list_places
from ood_core.data.list_text import ListFile
from ood_core.errors import DataError
from ood_core.experiments import DataSpec
from ood_core.experiments.sources import SET_KINDS, image_suffixes, is_image_name
from ood_core.wizard.draft import SetDraft

__all__ = ["LISTS", "FoundList", "look_into_list", "set_from"]

LISTS = (*SET_KINDS["image_list"].suffixes, *SET_KINDS["manifest"].suffixes)
"""File names that may be lists or tables of images."""

_BYTES, _ROWS, _TRIED = 4_000_000, 50_000, 20
_LABELS = ("label", "class", "target", "category", "class_name", "class_id", "label_id", "y")
_FOLDERS = 100
"""Folders near a list in which its images are looked for."""


@dataclass(frozen=True)
class FoundList:
    """What a list or table of images says.

    Parameters
    ----------
    options : keys of an experiment file that it needs to be read: its columns, its root.
    labelled : whether it gives labels.
    classes : class names in it, none where its labels are numbers or absent.
    folders : folders in which the images that it names lie; none where they were not found.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    labelled: bool = False
    classes: frozenset[str] = frozenset()
    folders: frozenset[Path] = frozenset()


def look_into_list(path: Path) -> FoundList | None:
    """What a file says as a list of images; None when it is none, such as notes or a log."""
    try:
        read = _table if path.suffix.lower() in SET_KINDS["manifest"].suffixes else _lines
        paths, labels, options = read(path)
    except (OSError, ValueError, csv.Error):  # ValueError: UnicodeDecodeError, pyarrow's errors
        return None
    if not paths:
        return None
    root, default = _root(path, paths)
    if root is not None and not default:
        options = options | {"root": str(root)}
    folders = {(root / p).parent for p in paths} if root is not None else set()
    words = {label for label in labels if label and not re.fullmatch(r"[+-]?\d+(\.0)?", label)}
    return FoundList(options, any(labels), frozenset(words), frozenset(folders))


def set_from(source: str, name: str = "") -> SetDraft:
    """A set as named by its path alone: with the columns and the root of a list or table."""
    path = Path(source).expanduser()
    found = look_into_list(path) if path.suffix.lower() in LISTS and path.is_file() else None
    return SetDraft(source, name, options=found.options if found else {})


_Read = tuple[list[str], list[str], dict[str, Any]]
"""Paths, labels as text, options."""


def _lines(path: Path) -> _Read:
    lines = [line.strip() for line in _start(path).splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")][:_ROWS]
    found = [m for m in map(_line().fullmatch, lines) if m]
    if not _mostly(len(found), len(lines)):
        return [], [], {}
    return [m["path"] for m in found], [m["label"] or "" for m in found], {}


@cache
def _line() -> re.Pattern[str]:
    """A path that ends as images do, and a label where there is one."""
    ends = "|".join(re.escape(end) for end in sorted(image_suffixes(), key=len, reverse=True))
    return re.compile(rf"(?P<path>.+?(?:{ends}))(?:[\s,;]+(?P<label>\S.*))?", re.IGNORECASE)


def _table(path: Path) -> _Read:
    columns = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    images = [c for c, cells in columns.items() if _mostly(sum(map(_image, cells)), len(cells))]
    if not images:
        return [], [], {}
    named = "path" if "path" in images else images[0]
    options = {} if named == "path" else {"path_column": named}
    lower = {column.lower(): column for column in columns if column != named}
    label = next((lower[name] for name in _LABELS if name in lower), None)
    if label not in (None, "label"):
        options["label_column"] = label
    return columns[named], columns[label] if label else [], options


def _csv(path: Path) -> dict[str, list[str]]:
    dialect = "excel" if path.suffix.lower() == ".csv" else "excel-tab"
    header, *rows = list(islice(csv.reader(_start(path).splitlines(), dialect=dialect), _ROWS))
    rows = [row for row in rows if len(row) == len(header)]
    if not rows or any(map(_image, header)):
        return {}  # without a row of names its columns cannot be named
    return {name.strip(): [row[i] for row in rows] for i, name in enumerate(header)}


def _parquet(path: Path) -> dict[str, list[str]]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=_ROWS), None)
    columns = {} if batch is None else batch.to_pydict()
    return {
        name: ["" if c is None else str(c) for c in cells]
        for name, cells in columns.items()
        if not isinstance(next(iter(cells), None), (bytes, list, dict))
    }


def _start(path: Path) -> str:
    """Whole lines at the start of a text file."""
    with open(path, "rb") as file:
        block = file.read(_BYTES)
        if file.read(1):
            block = block[: block.rfind(b"\n") + 1]
    return block.decode("utf-8-sig")


def _image(cell: str) -> bool:
    return is_image_name(cell.strip().replace("\\", "/").rpartition("/")[2])


def _mostly(part: int, whole: int) -> bool:
    return part >= max(0.8 * whole, 1)


def _root(path: Path, paths: Sequence[str]) -> tuple[Path | None, bool]:
    """Folder that the paths start from, and whether a list is looked up there anyway."""
    few = paths[:_TRIED]
    try:
        file = ListFile(path, DataSpec(path.name, "image_list", str(path)))
        return find_root(file, list_places(path, None), list(few))[0], True
    except DataError:
        pass
    for folder in islice(_near(path), _FOLDERS):
        if any((folder / p).is_file() for p in few):
            return folder, False
    return None, False


def _near(path: Path) -> Iterator[Path]:
    """Folders below the list's own, then the one above and those below it, nearest first."""
    for start in (path.parent, path.parent.parent):
        yield start
        level = [start]
        for _ in range(2):
            level = [f for folder in level for f in _below(folder)]
            yield from level


def _below(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError:
        return []

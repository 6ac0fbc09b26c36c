"""Lists and tables of images found on disk: which column is what, and where the images are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ood_core.data.list_entries import Entries
from ood_core.data.list_files import find_root, list_places
from ood_core.data.list_tables import Columns
from ood_core.data.list_text import ListFile, list_lines, list_text
from ood_core.data.listed_sets import listed_columns, read_entries
from ood_core.data.parquet_lists import ImageColumn
from ood_core.errors import DataError
from ood_core.experiments import DataSpec
from ood_core.experiments.sources import file_kind, is_image_name, list_suffix
from ood_core.wizard.set_draft import SetDraft

__all__ = ["FoundList", "is_list", "look_into_list", "set_from"]

_BYTES, _WHOLE = 2_000_000, 32_000_000
"""Bytes of a list that are read, and of one in JSON, which may be one value without a beginning."""
_ROWS, _TRIED = 50_000, 20
_BETWEEN = re.compile(r"[\t,;|\"' ]+")
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


def is_list(path: Path) -> bool:
    """Whether a file has a name of a list or table, packed or not."""
    return file_kind(path.name) in ("image_list", "manifest")


def look_into_list(path: Path) -> FoundList | None:
    """What a file says as a list of images; None when it is none, such as notes or a log.

    It is read as `extract` reads it, from its beginning. One that names images but would be
    refused is found without options: the checks then say what is wrong with it.
    """
    kind, sizes = file_kind(path.name) or "image_list", [_BYTES]
    if list_suffix(path.name) in (".json", ".jsonl", ".ndjson"):
        sizes.append(_WHOLE)
    plain, lenient = DataSpec(path.name, kind, str(path)), {"labels": "none"}
    for most in sizes:
        try:
            file = ListFile(path, plain, most)
            found = _read(file)
            return None if found is None else _with_root(file, found)
        except DataError:
            continue
    file = ListFile(path, DataSpec(path.name, kind, str(path), lenient), sizes[-1])
    try:
        return FoundList(labelled=True) if _read(file) else None
    except DataError:
        return FoundList(labelled=True) if _names_images(file) else None


def set_from(source: str, name: str = "") -> SetDraft:
    """A set as named by its path alone: with the columns and the root of a list or table."""
    path = Path(source).expanduser()
    found = look_into_list(path) if is_list(path) and path.is_file() else None
    return SetDraft(source, name, options=found.options if found else {})


@dataclass(frozen=True)
class _Read:
    """What one way to read a list gives."""

    entries: Entries
    column: ImageColumn | None
    options: Mapping[str, Any] = field(default_factory=dict)


def _read(file: ListFile) -> _Read | None:
    """What a file says, in the first of the likely columns that holds images; None if none does.

    Raises
    ------
    DataError
        When it can be read in no way.
    """
    ways: list[dict[str, Any]] = [{}]
    names = listed_columns(file) if file.noun == "manifest" else []
    if "path" not in names:
        ways += [{"path_column": name} for name in names]
    lower = {name.lower(): name for name in reversed(names)}
    called = next((lower[name] for name in _LABELS if name in lower), None)
    refused, read = None, False
    for columns in ways:
        try:
            found = _in_columns(file, columns, called)
        except DataError as error:
            refused = refused or error
            continue
        read = True
        if found is not None:
            return found
    if refused and not read:
        raise refused
    return None


def _in_columns(file: ListFile, options: dict[str, Any], called: str | None) -> _Read | None:
    """The images that these columns name; the labels of the column that is called so, if any."""
    places = list_places(file.path, None)
    entries, column = read_entries(file, Columns(**options), places)
    shown = entries.paths[:_ROWS]
    embedded = column is not None and not any("." in path for path in shown)
    if not embedded and not _mostly(sum(map(_image, shown)), len(shown)):
        return None
    if entries.labels is None and called and called != options.get("path_column"):
        options = options | {"label_column": called}
        entries, column = read_entries(file, Columns(**options), places)
    return _Read(entries, column, options)


def _with_root(file: ListFile, read: _Read) -> FoundList:
    """What was read, and where its images lie."""
    labels, names = read.entries.labels or [], read.entries.class_names or ()
    classes = {*names, *(label for label in labels if isinstance(label, str))}
    labelled = read.entries.labels is not None
    if read.column is not None:
        return FoundList(read.options, labelled, frozenset(classes))
    root, paths = _root(file, read.entries.paths)
    own = root is None or root in list_places(file.path, None)
    options = read.options if own else {**read.options, "root": str(root)}
    within = {os.path.dirname(path) for path in paths} if root is not None else ()
    folders = frozenset(root / folder for folder in within) if root is not None else frozenset()
    return FoundList(options, labelled, frozenset(classes), folders)


def _names_images(file: ListFile) -> bool:
    """Whether most lines of a text hold the name of an image, whatever else is wrong with it."""
    try:
        lines = [line for line in islice(list_lines(list_text(file)), _ROWS) if line.strip()]
    except DataError:
        return False
    named = sum(any(map(_image, _BETWEEN.split(line))) for line in lines)
    return _mostly(named, len(lines) - 1)  # without the line of names


def _image(cell: str) -> bool:
    return is_image_name(cell.strip().replace("\\", "/").rpartition("/")[2])


def _mostly(part: int, whole: int) -> bool:
    return part >= max(0.8 * whole, 1)


def _root(file: ListFile, paths: list[str]) -> tuple[Path | None, list[str]]:
    """Folder that the paths start from, if it is found, and the paths as they are read there."""
    few = paths[:: -(-len(paths) // _TRIED)]
    for places in (
        list_places(file.path, None),
        *([f] for f in islice(_near(file.path), _FOLDERS)),
    ):
        try:
            root, _ = find_root(file, places, few)
            return find_root(file, [root], paths)
        except DataError:
            continue
    return None, paths


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

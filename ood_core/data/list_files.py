"""Where the images of a list lie on this machine, and which of its entries are one file."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ood_core.data.list_entries import Entries
from ood_core.data.list_text import ListFile, short

__all__ = ["find_root", "list_places", "without_repeats"]

_IMAGE_FOLDERS = ("images_classic", "images_largescale")
"""Where OpenOOD keeps the images that the lists below `benchmark_imglist` name."""

_SAMPLE = 256
_WORD = 2**64 - 1
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def list_places(list_file: Path, given: Path | None) -> list[Path]:
    """Folders that the paths of a list may be relative to.

    `root` where it is given; else the list's own folder, and OpenOOD's image folders beside the
    `benchmark_imglist` that holds the list.
    """
    if given:
        return [given]
    places = [list_file.parent]
    for folder in list_file.parents:
        if folder.name == "benchmark_imglist":
            places += [folder.parent / images for images in _IMAGE_FOLDERS]
    return places


def _as_written(path: str) -> str:
    return path


def _slashes(path: str) -> str:
    return path.replace("\\", "/")


_FORMS: tuple[Callable[[str], str], ...] = (
    _as_written,
    _slashes,
    partial(unicodedata.normalize, "NFC"),
    partial(unicodedata.normalize, "NFD"),
)
"""Ways to read a path: a backslash may be part of a name, or stand between folders; é is one
character or, where macOS wrote the name, e and an accent."""


def find_root(file: ListFile, places: Sequence[Path], paths: list[str]) -> tuple[Path, list[str]]:
    """Folder that the paths are relative to, and the paths as they are to be read there.

    The place where most images of a sample spread over the list lie; the first of equals. Where
    none of the sample is anywhere, every path is looked up.

    Raises
    ------
    DataError
        When none of the images is there, with the places looked at.
    """
    sample = paths[:: -(-len(paths) // _SAMPLE)]
    odd = [path for path in paths if "\\" in path or not path.isascii()]
    forms = [f for f in _FORMS if f is _as_written or any(f(path) != path for path in odd)]
    ways = [(place, form) for place in places for form in forms]
    found = [sum(_there(place, form(path)) for path in sample) for place, form in ways]
    if not any(found):
        found = [any(_there(place, form(path)) for path in paths) for place, form in ways]
    if any(found):
        place, form = ways[found.index(max(found))]
        return place, paths if form is _as_written else [form(path) for path in paths]
    looked = ", ".join(str(place) for place in places)
    drive = (
        " That is a path of a Windows drive: list paths below one folder and name it as root."
        if _DRIVE.match(paths[0])
        else ""
    )
    raise file.error(
        f"none of the images of {{}} is there; the first is {short(paths[0])}, looked up in "
        f"{looked}.{drive} Set root to the folder its paths are relative to."
    )


def _there(place: Path, path: str) -> bool:
    return os.path.isfile(os.path.join(place, path))


def without_repeats(entries: Entries, root: Path, file: ListFile) -> tuple[Entries, np.ndarray]:
    """The entries without those that name a file again, and the numbers of those.

    The first entry of a file stays. `a.png`, `./a.png`, its absolute path and symbolic links to
    it are one file; hard links are files of their own.

    Raises
    ------
    DataError
        When one file has two labels that mean different classes.
    """
    paths, labels = entries.paths, entries.labels
    first = _first_of_each(paths, root)
    if first is None:
        return entries, np.array([], np.int64)
    again = np.flatnonzero(first != np.arange(len(paths)))
    if labels is not None and file.labels_matter:
        for index in again:
            _refuse_two_labels(entries, int(first[index]), int(index), file)
    kept = np.flatnonzero(first == np.arange(len(paths)))
    chosen = Entries(
        [paths[i] for i in kept],
        None if labels is None else [labels[i] for i in kept],
        entries.class_names,
    )
    return chosen, again


def _refuse_two_labels(entries: Entries, first: int, again: int, file: ListFile) -> None:
    assert entries.labels is not None
    one, other = (entries.labels[i] for i in (first, again))
    meant = [file.label_map.get(str(label), label) for label in (one, other)]
    if meant[0] != meant[1]:
        path, written = entries.paths[first], entries.paths[again]
        also = "" if path == written else f" (also as {short(written)})"
        raise file.error(
            f"in {{}} {short(path)}{also} is listed with two labels, {short(one)} and "
            f"{short(other)}. Keep the right one."
        )


def _first_of_each(paths: list[str], root: Path) -> np.ndarray | None:
    """(n,) number of the first entry of the same file; None where no file is named again."""
    seen: dict[str, int] = {}
    first = np.fromiter((seen.setdefault(_plain(p), i) for i, p in enumerate(paths)), np.int64)
    once = np.flatnonzero(first == np.arange(len(paths)))
    inodes = np.fromiter(_inodes(root, [paths[i] for i in once]), np.uint64, len(once))
    order = np.argsort(inodes, kind="stable")
    same = (np.diff(inodes[order]) == 0) & (inodes[order][1:] > 0)
    shared = once[order[np.append(same, False) | np.insert(same, 0, False)]]
    if not len(shared) and len(once) == len(paths):
        return None
    real: dict[str, int] = {}
    for index in np.sort(shared):
        target = os.path.realpath(os.path.join(root, paths[index]))
        first[index] = real.setdefault(target, int(index))
    return first[first]


def _plain(path: str) -> str:
    """The path without `.` and empty parts; `..` may lead through a link, so it stays."""
    if "./" not in path and "//" not in path:
        return path
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def _inodes(root: Path, paths: list[str]) -> Iterator[int]:
    """For each path a number that all links to one file share; 0 where it is not known."""
    stat, prefix = os.stat, os.path.join(root, "")
    for path in paths:
        try:
            yield stat(path if os.path.isabs(path) else prefix + path).st_ino & _WORD
        except OSError:
            yield 0

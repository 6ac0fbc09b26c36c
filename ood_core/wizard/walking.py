"""What lies below a folder: images in folders and zips, lists and tables of images, checkpoints."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ood_core.errors import ConfigError
from ood_core.experiments.listing import Entries, folder_entries, leads_above
from ood_core.experiments.network_formats import network_format
from ood_core.experiments.sources import SET_KINDS, is_image_name, list_suffix
from ood_core.wizard.checkpoint_files import is_checkpoint
from ood_core.wizard.folder_words import Words, is_word, read_words
from ood_core.wizard.found_features import arrays_in, holds_features
from ood_core.wizard.found_lists import is_list, look_into_list

__all__ = ["OPENOOD_LISTS", "Place", "walk"]

OPENOOD_LISTS = "benchmark_imglist"
_OPENOOD_IMAGES = ("images_classic", "images_largescale")
_DEPTH = 4
_MOST_FOLDERS = 5_000
"""Folders looked into at most, so that a home folder is not read from end to end."""
_MOST_SETS = 20
"""Subfolders of a folder called OOD up to which each is a set of its own, not a class."""


@dataclass(frozen=True)
class Place:
    """One set of images that was found.

    Parameters
    ----------
    path : a folder, a list, a table or a zip.
    kind : "folder", "list" (a table too), "zip", or "features" that stand in place of images.
    parts : names below the folder that was looked through.
    classes : its class folders, or the class names in a list.
    labelled : whether it gives labels.
    folders : where the images that a list names lie.
    options : what an experiment file has to say to read it.
    """

    path: Path
    kind: Literal["folder", "list", "zip", "features"]
    parts: tuple[str, ...]
    classes: frozenset[str] = frozenset()
    labelled: bool = False
    folders: frozenset[Path] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @cached_property
    def words(self) -> Words:
        """What its name and the names above it say."""
        return read_words(self.parts)

    def covers(self, other: Place) -> bool:
        """Whether this list names images in that folder."""
        return any(other.path == f or other.path in f.parents for f in self.folders)


def walk(root: Path) -> tuple[list[Path], list[Place]]:
    """Checkpoints and sets of images, four levels deep."""
    checkpoints: list[Path] = []
    places: list[Place] = []
    left = iter(range(_MOST_FOLDERS))
    for found in _walk(root, (), left, ()):
        if isinstance(found, Place):
            places.append(found)
        else:
            checkpoints.append(found)
    return checkpoints, places


def _walk(
    folder: Path, parts: tuple[str, ...], left: Iterator[int], came: tuple[str, ...]
) -> Iterator[Path | Place]:
    """What lies in a folder; `came` are the folders on the way to it, without links in them."""
    if next(left, None) is None:
        return
    found, here = _entries(folder), (*came, os.path.realpath(folder))
    back = {n for n in found.links if leads_above(os.path.realpath(folder / n), here)}
    folders, files = [n for n in found.folders if n not in back], found.others
    whole = _is_network(folder)
    if whole:
        yield folder
        if parts:  # what lies in it belongs to it
            return
    if not whole and "features.npy" in files:
        yield _features(folder, parts)
        return
    checkpoints = [
        folder / n
        for n in files
        if is_checkpoint(folder / n) and not (whole or holds_features(folder / n))
    ]
    yield from checkpoints
    for name in files:
        yield from _set_file(folder / name, parts)
    pictures = bool(found.images)
    if not pictures and parts and _are_classes(folder, folders):
        yield Place(folder, "folder", parts, frozenset(folders), labelled=True)
        return
    if OPENOOD_LISTS in folders:  # the lists name the images beside them
        folders = [name for name in folders if name not in _OPENOOD_IMAGES]
    below: list[Path | Place] = []
    if len(parts) < _DEPTH:
        for name in folders:
            below += _walk(folder / name, (*parts, name), left, here)
    yield from below
    # Pictures beside checkpoints are curves; a folder's set would hold those of the sets below.
    if pictures and not checkpoints and not any(isinstance(b, Place) for b in below):
        yield Place(folder, "folder", parts)


def _is_network(folder: Path) -> bool:
    """Whether a folder holds one network, all of it."""
    try:
        return network_format(folder) is not None
    except ConfigError:  # several of them: each is found below
        return False


def _set_file(path: Path, parts: tuple[str, ...]) -> Iterator[Place]:
    """The list, table or zip that a file is, if it is one."""
    suffix = list_suffix(path.name)
    parts = (*parts, path.name[: path.name.lower().rfind(suffix)])
    if holds_features(path):
        yield _features(path, parts)
    elif is_list(path) and (found := look_into_list(path)) is not None:
        yield Place(
            path, "list", parts, found.classes, found.labelled, found.folders, found.options
        )
    elif suffix in SET_KINDS["zip"].suffixes:
        names = _zipped(path)
        if any(is_image_name(os.path.basename(name)) for name in names):
            top = {name.partition("/")[0] for name in names if "/" in name.rstrip("/")}
            classes = frozenset(top) if len(top) > 1 else frozenset()
            yield Place(path, "zip", parts, classes, bool(classes))


def _features(path: Path, parts: tuple[str, ...]) -> Place:
    return Place(path, "features", parts, labelled="labels" in arrays_in(path))


def _zipped(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return []


def _are_classes(folder: Path, folders: Sequence[str]) -> bool:
    """Whether the subfolders are the classes of one set, and not sets of their own."""
    if not folders or not all(_entries(folder / name).images for name in folders):
        return False
    if is_word(folder.name) and read_words((folder.name,)).domain == "ood":
        return len(folders) > _MOST_SETS
    # One of many may be a class of that name: "train" among vehicles.
    words = [name for name in folders if is_word(name)]
    return not words or (len(words) == 1 and len(folders) > 2)


def _entries(folder: Path) -> Entries:
    """What lies in a folder, sorted, links to folders among the folders; nothing if unreadable."""
    try:
        found = folder_entries(folder)
    except OSError:
        return Entries((), (), (), (), ())
    folders = sorted((*found.folders, *found.links))
    images, others = sorted(found.images), sorted(found.others)
    return Entries(tuple(images), tuple(folders), found.links, tuple(others), found.odd)

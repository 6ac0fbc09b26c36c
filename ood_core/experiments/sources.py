"""Kinds of data sets an experiment file may name, and finding their files on disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ood_core.runtime.paths import data_roots

__all__ = [
    "BUILTIN_SOURCES",
    "IMAGE_SUFFIXES",
    "SET_KINDS",
    "TORCHVISION_SETS",
    "SetKind",
    "class_folders",
    "holds_image",
    "is_image_name",
    "iter_images",
    "resolve",
]

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
)
"""File names that count as images in a folder or an archive, any case."""


@dataclass(frozen=True)
class SetKind:
    """One kind of data set, as experiment files know it.

    Attributes
    ----------
    options : keys that it takes beside its own.
    on_disk : whether its value is a path, which is resolved and must be there.
    suffixes : files that are taken for this kind where only a path is given.
    """

    options: tuple[str, ...]
    on_disk: bool = True
    suffixes: tuple[str, ...] = ()


_COMMON = ("limit", "per_class", "label_map", "count", "obtain")
SET_KINDS = {
    "folder": SetKind((*_COMMON, "labels")),
    "image_list": SetKind((*_COMMON, "root", "labels"), suffixes=(".txt", ".lst")),
    "manifest": SetKind(
        (*_COMMON, "root", "labels", "path_column", "label_column"),
        suffixes=(".csv", ".tsv", ".tab", ".parquet"),
    ),
    "zip": SetKind((*_COMMON, "labels"), suffixes=(".zip",)),
    "torchvision": SetKind((*_COMMON, "split"), on_disk=False),
    "builtin": SetKind(("limit", "per_class"), on_disk=False),
}
"""Key of which each data set has exactly one -> what it takes. `data/opening.py` opens each."""

BUILTIN_SOURCES = (
    "digits:fit",
    "digits:test",
    "digits:held-out",
    "digits:rotated",
    "digits:inverted",
    "digits:shuffled",
    "digits:photos",
    "digits:noise",
)

TORCHVISION_SETS: dict[str, tuple[str, ...]] = {
    "CIFAR10": ("test", "train"),
    "CIFAR100": ("test", "train"),
    "MNIST": ("test", "train"),
    "FashionMNIST": ("test", "train"),
    "KMNIST": ("test", "train"),
    "SVHN": ("test", "train", "extra"),
    "STL10": ("test", "train"),
    "DTD": ("test", "train", "val", "all"),
    "Places365": ("val",),
    "Food101": ("test", "train"),
    "Flowers102": ("test", "train", "val"),
    "OxfordIIITPet": ("test", "trainval"),
    "EuroSAT": ("all",),
    "GTSRB": ("test", "train"),
}
"""Torchvision data sets by name, each with its splits; the first is taken by default."""


def resolve(source: str, beside: Path | None) -> tuple[Path | None, tuple[Path, ...]]:
    """First existing place of a path, and all the places looked at.

    Relative paths are looked up beside the experiment file, then in `data_roots()`.
    """
    path = Path(source).expanduser()
    roots = () if path.is_absolute() else (*((beside,) if beside else ()), *data_roots())
    places = tuple(root / path for root in roots) or (path,)
    found = next((p for p in places if p.exists()), None)
    return (Path(os.path.abspath(found)) if found else None), places


def is_image_name(name: str) -> bool:
    """Whether a file of this name counts as an image; hidden files do not."""
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES and not name.startswith(".")


def iter_images(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Relative paths of all images below the folder, in no order.

    Hidden files and folders are left out, and links that lead back to a folder above.

    Raises
    ------
    OSError
        When a folder cannot be read.
    """
    stack = [(os.fspath(folder), "")]
    while stack:
        path, prefix = stack.pop()
        images, folders = _listing(path)
        stack += [(os.path.join(path, name), f"{prefix}{name}/") for name in folders]
        for name in images:
            yield prefix + name


_Names = tuple[str, ...]
_LISTED: dict[str, tuple[tuple[int, int, int], _Names, _Names]] = {}
_MOST_LISTED = 1_000_000


def _listing(path: str) -> tuple[_Names, _Names]:
    """Names of the images and of the folders to look into; read again when the folder changed,
    or when the path leads to another one.

    A folder that changed in the last two seconds is not remembered: another change could carry
    the same time. Nor is one with links, whose targets change without it.
    """
    stat = os.stat(path)
    changed, folder = stat.st_mtime_ns, (stat.st_mtime_ns, stat.st_dev, stat.st_ino)
    known = _LISTED.get(path)
    if known is not None and known[0] == folder:
        return known[1:]
    images, folders, links = [], [], False
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if name[0] == ".":
                continue
            link = entry.is_symlink()
            links = links or link
            if entry.is_dir():
                if not (link and _leads_back(entry.path)):
                    folders.append(name)
            elif name[name.rfind(".") :].lower() in IMAGE_SUFFIXES:
                images.append(name)
    found = tuple(images), tuple(folders)
    if not links and time.time_ns() - changed > 2_000_000_000:
        if sum(len(entry[1]) for entry in list(_LISTED.values())) + len(images) > _MOST_LISTED:
            _LISTED.clear()
        _LISTED[path] = (folder, *found)
    return found


def _leads_back(link: str) -> bool:
    """Whether a link to a folder points at a folder that it lies in."""
    inside = os.path.realpath(os.path.dirname(link))
    target = os.path.realpath(link)
    return inside == target or inside.startswith(os.path.join(target, ""))


def holds_image(folder: str | os.PathLike[str]) -> bool:
    """Whether there is an image anywhere below the folder; stops at the first."""
    return next(iter_images(folder), None) is not None


def class_folders(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """Sorted names of the direct subfolders, hidden ones left out."""
    with os.scandir(folder) as entries:
        return tuple(sorted(e.name for e in entries if e.is_dir() and not e.name.startswith(".")))

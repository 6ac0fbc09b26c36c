"""Kinds of data sets an experiment file may name, where they are, and names that are images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ood_core.runtime.paths import data_roots

__all__ = [
    "BUILTIN_SOURCES",
    "SET_KINDS",
    "TORCHVISION_SETS",
    "SetKind",
    "file_kind",
    "image_formats",
    "image_suffixes",
    "is_hidden",
    "is_image_name",
    "list_suffix",
    "resolve",
]

_NOT_DECODED = frozenset(("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"))
_CODECS = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}
"""Formats that a Pillow may have been built without, and what it calls their libraries."""

_SYSTEM = frozenset(
    (
        "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "lost+found",
        "$recycle.bin", "system volume information",
    )
)  # fmt: skip
"""What operating systems and network storages put beside files, in lower case."""


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
        suffixes=(".csv", ".tsv", ".tab", ".parquet", ".pq", ".json", ".jsonl", ".ndjson"),
    ),
    "features": SetKind((*_COMMON, "labels", "thumbnails")),
    "zip": SetKind((*_COMMON, "labels"), suffixes=(".zip",)),
    "torchvision": SetKind((*_COMMON, "split"), on_disk=False),
    "builtin": SetKind(("limit", "per_class"), on_disk=False),
}
"""Key of which each data set has exactly one -> what it takes. `data/opening.py` opens each."""

_OF_SUFFIX = {suffix: name for name, kind in SET_KINDS.items() for suffix in kind.suffixes}
_PACKED = (".gz", ".bz2", ".xz", ".zip")

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
    found = next((p for p in places if os.path.exists(p)), None)
    return (Path(os.path.abspath(found)) if found else None), places


def list_suffix(name: str) -> str:
    """Suffix of a list or table in lower case, that of what is packed in it.

    >>> list_suffix("images.CSV"), list_suffix("images.csv.gz"), list_suffix("photos.zip")
    ('.csv', '.csv', '.zip')
    """
    parts = [part.lower() for part in Path(name).suffixes[-2:]]
    inner = parts[-2] if len(parts) == 2 and parts[-1] in _PACKED else ""
    return inner if _OF_SUFFIX.get(inner) in ("image_list", "manifest") else (parts or [""])[-1]


def file_kind(name: str) -> str | None:
    """Kind of data set that a file of this name is taken for; None where the name does not say.

    >>> file_kind("train.txt.gz"), file_kind("photos.zip"), file_kind("photos.rar")
    ('image_list', 'zip', None)
    """
    return _OF_SUFFIX.get(list_suffix(name))


@cache
def image_formats() -> tuple[str, ...]:
    """Formats that the installed Pillow decodes, in the order in which it tries them.

    Left out are those that it only knows by their first bytes (BUFR, GRIB, HDF5, MPEG, WMF), and
    EPS, which another program would have to run.
    """
    from PIL import Image, features

    Image.preinit()
    Image.init()
    return tuple(
        name
        for name in Image.ID
        if name in Image.OPEN
        and name not in _NOT_DECODED
        and (name not in _CODECS or features.check(_CODECS[name]))
    )


@cache
def image_suffixes() -> frozenset[str]:
    """Endings, in lower case with their dot, of the files that the installed Pillow decodes."""
    from PIL import Image

    known = set(image_formats())
    return frozenset(end for end, name in Image.registered_extensions().items() if name in known)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or kept by an operating system.

    >>> [is_hidden(name) for name in ("._a.jpg", "Thumbs.db", "__MACOSX", "a.jpg")]
    [True, True, True, False]
    """
    return name.startswith(".") or name.lower() in _SYSTEM


def is_image_name(name: str) -> bool:
    """Whether a file of this name counts as an image, in any case; hidden files do not.

    >>> [is_image_name(name) for name in ("a.JFIF", ".a.png", "notes.txt")]
    [True, False, False]
    """
    return name[name.rfind(".") :].lower() in image_suffixes() and not is_hidden(name)

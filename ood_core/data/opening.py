"""From a `DataSpec` to the images: one function per kind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ood_core.data.archive import ZipSet, open_zip, zip_members
from ood_core.data.digits import DigitsSet
from ood_core.data.features.feature_set import FeatureSet
from ood_core.data.features.opening_features import open_features
from ood_core.data.files import FileSet
from ood_core.data.image_set import ImageSet
from ood_core.data.labels import FitNumbering, RawLabels, folder_labels, number_labels
from ood_core.data.listed_sets import read_listed
from ood_core.data.numbering import Numbering
from ood_core.data.subsets import ClassView, SubsetView, choose, whole
from ood_core.data.torchvision_set import open_named
from ood_core.errors import DataError
from ood_core.experiments import DataSpec, Experiment
from ood_core.experiments.listing import (
    LeftOut,
    class_folders,
    left_out_text,
    list_folder,
    what_instead,
)
from ood_core.experiments.sources import SET_KINDS
from ood_core.runtime.bounded import Bounded
from ood_core.runtime.paths import find_data

__all__ = ["classes_numbered", "open_dataset"]


def open_dataset(spec: DataSpec) -> ImageSet:
    """Open an image set; nothing is downloaded and no image is decoded.

    Raises
    ------
    DataError
        When it is not on disk, holds no images, or its labels do not fit the classes.
    """
    if "classes" in spec.options or "other_than" in spec.options:
        return ClassView(open_dataset(whole(spec)), spec)
    return _OPENERS[spec.kind](spec)


def _builtin(spec: DataSpec) -> ImageSet:
    return _subset(DigitsSet(spec.source, spec.name), spec)


def _torchvision(spec: DataSpec) -> ImageSet:
    return _subset(open_named(spec, _fit_numbering(spec)), spec)


def _subset(images: ImageSet, spec: DataSpec) -> ImageSet:
    narrowed = "limit" in spec.options or "per_class" in spec.options
    return SubsetView(images, spec) if narrowed else images


def _folder(spec: DataSpec) -> ImageSet:
    root = _on_disk(spec)
    if not root.is_dir():
        raise DataError(f"data set {spec.name!r}: {str(root)!r} is a file, not a folder.")
    found = list_folder(root)
    if not found.images:
        beside = left_out_text(found.left_out)
        text = f"data set {spec.name!r}: the folder {str(root)!r} holds no images. {beside}"
        raise DataError(text.rstrip())
    ids = list(found.images)
    folders = () if "label_map" in spec.options else class_folders(root)
    return _files(spec, root, ids, _by_folder(spec, ids), folders, found.left_out)


def _listed(spec: DataSpec) -> ImageSet:
    given = spec.options.get("root")
    root = find_data(given) if given else None
    if given and root is None:
        raise DataError(f"data set {spec.name!r}: root {given!r} is not on disk.")
    found = read_listed(spec, _list_file(spec), root)
    paths, raw, known = found.entries.paths, found.entries.labels, found.entries.class_names
    chosen, labels, numbering = _chosen(spec, paths, raw, known=known or ())
    return found.image_set(chosen, labels, numbering)


def _zip(spec: DataSpec) -> ImageSet:
    file = _list_file(spec)
    with open_zip(file, str(file)) as archive:
        members, left_out = zip_members(archive)
    ids = list(members)
    if not ids:
        beside = left_out_text(left_out)
        text = f"data set {spec.name!r}: {str(file)!r} holds no images. {beside}"
        raise DataError(text.rstrip())
    raw = _by_folder(spec, _without_common_folders(ids, spec))
    chosen, labels, numbering = _chosen(spec, ids, raw)
    return ZipSet(spec.name, file, chosen, labels, numbering, tuple(left_out))


_OPENED: Bounded[tuple[object, ...], FeatureSet] = Bounded(16)
"""Opened sets of features by spec and state of the files: pages ask for them on every run."""


def _features(spec: DataSpec) -> FeatureSet:
    place = _on_disk(spec)
    others = [
        spec.options.get("thumbnails"),
        getattr(spec.options.get("numbered_by"), "source", None),
    ]
    read = [place, *filter(None, (find_data(other) for other in others if other))]
    files = [f for p in read for f in (p, *(sorted(p.glob("*.npy")) if p.is_dir() else ()))]
    stats = [(os.fspath(f), s.st_size, s.st_mtime_ns) for f in files if (s := f.stat())]
    key = (repr(spec), *stats)
    return _OPENED.get(key, lambda: open_features(spec, place, _fit_numbering(spec)))


_OPENERS: dict[str, Callable[[DataSpec], ImageSet]] = {
    "builtin": _builtin,
    "features": _features,
    "folder": _folder,
    "image_list": _listed,
    "manifest": _listed,
    "torchvision": _torchvision,
    "zip": _zip,
}


def _on_disk(spec: DataSpec) -> Path:
    found = find_data(spec.source)
    if found is None:
        obtain = spec.options.get("obtain", "Check the path, or set OOD_LENS_DATA.")
        raise DataError(f"data set {spec.name!r}: {spec.source!r} is not on disk. {obtain}")
    return found


def _list_file(spec: DataSpec) -> Path:
    file = _on_disk(spec)
    if not file.is_file():
        instead = what_instead(file.stat().st_mode)
        raise DataError(f"data set {spec.name!r}: {str(file)!r} is a {instead}.")
    return file


def _by_folder(spec: DataSpec, ids: Sequence[str]) -> list[str | int] | None:
    """Folder names as labels; for sets whose folders are no classes, only as groups."""
    if spec.options.get("role") == "ood" or spec.options.get("labels") == "none":
        return [i.split("/", 1)[0] if "/" in i else "" for i in ids]
    return folder_labels(ids, spec.name)


def _without_common_folders(ids: Sequence[str], spec: DataSpec) -> list[str]:
    """Paths without the folders that an archive often wraps everything in.

    One is taken off where all lie at least two deep, and further ones as long as they can be no
    class: one that is known not to be, or the only one of a fit set.
    """
    names, fit = spec.options.get("class_names") or (), spec.options.get("role") == "fit"
    paths, taken = list(ids), 0
    while True:
        first = paths[0].split("/", 1)[0]
        nested = all(p.startswith(f"{first}/") and p.count("/") >= 2 for p in paths)
        if not nested or first in names or (taken and not (names or fit)):
            return paths
        paths, taken = [p[len(first) + 1 :] for p in paths], taken + 1


def _files(
    spec: DataSpec,
    root: Path,
    ids: list[str],
    raw: RawLabels | None,
    folders: Sequence[str] = (),
    left_out: tuple[LeftOut, ...] = (),
) -> FileSet:
    chosen, labels, numbering = _chosen(spec, ids, raw, folders)
    return FileSet(spec.name, root, chosen, labels, numbering, left_out)


def _chosen(
    spec: DataSpec,
    ids: list[str],
    raw: RawLabels | None,
    folders: Sequence[str] = (),
    known: tuple[str, ...] = (),
) -> tuple[list[str], np.ndarray | None, Numbering | None]:
    """Ids, labels and numbering after `per_class` and `limit`; labels are checked before."""
    labels, numbering = number_labels(
        raw, spec, ids, _fit_numbering(spec), folders=folders, known=known
    )
    index = choose(ids, raw, spec)
    if index is None:
        return ids, labels, numbering
    return [ids[i] for i in index], None if labels is None else labels[index], numbering


def classes_numbered(experiment: Experiment) -> str:
    """How the experiment's classes are numbered, as one clause; "" where no set has labels.

    Raises
    ------
    DataError
        When the set that says so cannot be opened.
    """
    named = (experiment.sets.get(s) for s in (experiment.fit_set, experiment.test_set))
    for spec in filter(None, named):
        if spec.kind in ("torchvision", "builtin") and "label_map" not in spec.options:
            return "the data set's own class numbers"
        numbering = _numbering_of(whole(spec))
        if numbering is not None:
            return numbering.how
    return ""


_NUMBERED: Bounded[tuple[object, ...], Numbering | None] = Bounded(64)
"""Numbering by fit set and the file or folder that says so: every other set asks for it."""


def _fit_numbering(spec: DataSpec) -> FitNumbering | None:
    """What gives the numbering of the fit set that this set follows; None where it stands alone."""
    fit = spec.options.get("numbered_by")
    return None if fit is None else partial(_numbering_of, whole(fit))


def _numbering_of(fit: DataSpec) -> Numbering | None:
    place = find_data(fit.source) if SET_KINDS[fit.kind].on_disk else None
    if place is None or fit.kind == "features":  # what is opened of those is kept anyway
        return open_dataset(fit).numbering
    stats = [place.stat()]
    if (
        place.is_dir()
    ):  # a class may become empty, or get its first image, below an unchanged folder
        stats += [(place / name).stat() for name in class_folders(place)]
    if time.time_ns() - max(s.st_mtime_ns for s in stats) < 2_000_000_000:
        return open_dataset(fit).numbering  # may change again in the same instant
    states = [(s.st_mtime_ns, s.st_ctime_ns, s.st_size, s.st_ino) for s in stats]
    key = (repr(fit), os.fspath(place), *states)
    return _NUMBERED.get(key, lambda: open_dataset(fit).numbering)

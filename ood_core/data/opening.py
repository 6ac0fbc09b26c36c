"""From a `DataSpec` to the images: one function per kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ood_core.data.archive import ZipSet, image_members, open_zip
from ood_core.data.digits import DigitsSet
from ood_core.data.files import FileSet, scan_folder
from ood_core.data.image_set import ImageSet
from ood_core.data.labels import RawLabels, folder_labels, number_labels
from ood_core.data.lists import find_root, read_image_list, read_manifest
from ood_core.data.subsets import SubsetView, choose
from ood_core.data.torchvision_set import open_named
from ood_core.errors import DataError
from ood_core.experiments import DataSpec
from ood_core.runtime.paths import find_data

__all__ = ["open_dataset"]


def open_dataset(spec: DataSpec) -> ImageSet:
    """Open an image set; nothing is downloaded and no image is decoded.

    Raises
    ------
    DataError
        When it is not on disk, holds no images, or its labels do not fit the classes.
    """
    return _OPENERS[spec.kind](spec)


def _builtin(spec: DataSpec) -> ImageSet:
    return _subset(DigitsSet(spec.source, spec.name), spec)


def _torchvision(spec: DataSpec) -> ImageSet:
    return _subset(open_named(spec), spec)


def _subset(images: ImageSet, spec: DataSpec) -> ImageSet:
    narrowed = "limit" in spec.options or "per_class" in spec.options
    return SubsetView(images, spec) if narrowed else images


def _folder(spec: DataSpec) -> ImageSet:
    root = _on_disk(spec)
    if not root.is_dir():
        raise DataError(f"data set {spec.name!r}: {str(root)!r} is a file, not a folder.")
    ids = scan_folder(root)
    if not ids:
        raise DataError(f"data set {spec.name!r}: the folder {str(root)!r} holds no images.")
    return _files(spec, root, ids, _by_folder(spec, ids))


def _image_list(spec: DataSpec) -> ImageSet:
    file = _list_file(spec)
    paths, labels = read_image_list(file, spec.name)
    return _listed(spec, file, paths, labels)


def _manifest(spec: DataSpec) -> ImageSet:
    file = _list_file(spec)
    columns = spec.options.get("path_column") or "path", spec.options.get("label_column")
    paths, labels = read_manifest(file, spec.name, *columns)
    return _listed(spec, file, paths, labels)


def _zip(spec: DataSpec) -> ImageSet:
    file = _list_file(spec)
    with open_zip(file, str(file)) as archive:
        ids = image_members(archive)
    if not ids:
        raise DataError(f"data set {spec.name!r}: {str(file)!r} holds no images.")
    raw = _by_folder(spec, _without_common_folder(ids))
    chosen, labels, names = _chosen(spec, ids, raw)
    return ZipSet(spec.name, file, chosen, labels, names)


_OPENERS: dict[str, Callable[[DataSpec], ImageSet]] = {
    "builtin": _builtin,
    "folder": _folder,
    "image_list": _image_list,
    "manifest": _manifest,
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
        raise DataError(f"data set {spec.name!r}: {str(file)!r} is a folder, not a file.")
    return file


def _by_folder(spec: DataSpec, ids: Sequence[str]) -> list[str | int] | None:
    """Folder names as labels; for sets whose folders are no classes, only as groups."""
    if spec.options.get("role") == "ood" or spec.options.get("labels") == "none":
        return [i.split("/", 1)[0] if "/" in i else "" for i in ids]
    return folder_labels(ids, spec.name)


def _without_common_folder(ids: Sequence[str]) -> list[str]:
    """Paths without the one folder that an archive often wraps everything in."""
    first = ids[0].split("/", 1)[0] + "/"
    nested = all(i.startswith(first) and i.count("/") >= 2 for i in ids)
    return [i[len(first) :] for i in ids] if nested else list(ids)


def _listed(
    spec: DataSpec, file: Path, paths: list[str], labels: list[str | int] | None
) -> ImageSet:
    given = spec.options.get("root")
    root = find_data(given) if given else None
    if given and root is None:
        raise DataError(f"data set {spec.name!r}: root {given!r} is not on disk.")
    paths = [os.path.expanduser(p) if p.startswith("~/") else p for p in paths]
    return _files(spec, find_root(file, root, paths, spec.name), paths, labels)


def _files(spec: DataSpec, root: Path, ids: list[str], raw: RawLabels | None) -> FileSet:
    chosen, labels, names = _chosen(spec, ids, raw)
    return FileSet(spec.name, root, chosen, labels, names)


def _chosen(
    spec: DataSpec, ids: list[str], raw: RawLabels | None
) -> tuple[list[str], np.ndarray | None, tuple[str, ...] | None]:
    """Ids, labels and class names after `per_class` and `limit`; labels are checked before."""
    labels, names = number_labels(raw, spec, ids)
    index = choose(ids, raw, spec)
    if index is None:
        return ids, labels, names
    return [ids[i] for i in index], None if labels is None else labels[index], names

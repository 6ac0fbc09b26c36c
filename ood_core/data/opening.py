"""From a `DataSpec` to the images: one function per kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ood_core.data.digits import DigitsSet
from ood_core.data.files import FileSet, scan_folder
from ood_core.data.image_set import ImageSet
from ood_core.errors import DataError
from ood_core.experiments import DataSpec
from ood_core.paths import find_data

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
    return DigitsSet(spec.source, spec.name)


def _folder(spec: DataSpec) -> ImageSet:
    root = find_data(spec.source)
    if root is None or not root.is_dir():
        raise DataError(f"data set {spec.name!r}: folder {spec.source!r} does not exist.")
    ids = scan_folder(root)
    if not ids:
        raise DataError(f"data set {spec.name!r}: folder {str(root)!r} holds no images.")
    return FileSet(spec.name, root, ids, *_folder_labels(spec, ids))


def _folder_labels(
    spec: DataSpec, ids: list[str]
) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    if spec.options.get("role") == "ood" or not all("/" in i for i in ids):
        return None, None
    folders = [i.split("/", 1)[0] for i in ids]
    names = tuple(spec.options.get("class_names") or sorted(set(folders)))
    number = {name: n for n, name in enumerate(names)}
    return np.array([number[f] for f in folders], np.int64), names


_OPENERS: dict[str, Callable[[DataSpec], ImageSet]] = {"builtin": _builtin, "folder": _folder}

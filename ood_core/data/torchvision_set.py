"""Torchvision's data sets as image sets. Torchvision is imported when images are asked for."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ood_core.data.files import FileSet
from ood_core.data.image_set import BrokenImageError, ImageSet
from ood_core.data.labels import FitNumbering, number_labels
from ood_core.data.numbering import Label, Numbering
from ood_core.data.torchvision_names import NAMED_SETS, find_named, marker_path, named_split
from ood_core.errors import DataError
from ood_core.experiments import DataSpec
from ood_core.experiments.listing import list_folder

__all__ = ["TorchvisionSet", "open_named", "torchvision_dataset"]


def open_named(spec: DataSpec, fit: FitNumbering | None = None) -> ImageSet:
    """Open a torchvision data set that is on disk; `fit` is as in `number_labels`.

    Raises
    ------
    DataError
        When it is not on disk, with what to run.
    """
    root = find_named(spec)
    if root is None:
        size = NAMED_SETS[spec.source].size(named_split(spec))
        raise DataError(
            f"data set {spec.name!r}: torchvision's {spec.source} is not on disk (about "
            f"{size:,} MB). Nothing is downloaded unasked: "
            "run `python -m ood_core download EXPERIMENT`, or press Download on the overview page."
        )
    if spec.source == "DTD" and named_split(spec) == "all":
        folder = marker_path(spec, root)
        found = list_folder(folder)
        return FileSet(spec.name, folder, found.images, left_out=found.left_out)
    return TorchvisionSet(spec, root, fit)


def torchvision_dataset(spec: DataSpec, root: Path, *, download: bool = False) -> Any:
    """Torchvision's own data set object."""
    import torchvision.datasets

    known = NAMED_SETS[spec.source]
    split = "train" if named_split(spec) == "all" else named_split(spec)
    arguments = dict(known.arguments)
    if known.by_train:
        arguments["train"] = split == "train"
    elif spec.source != "EuroSAT":
        arguments["split"] = split
    return getattr(torchvision.datasets, spec.source)(str(root), download=download, **arguments)


class TorchvisionSet(ImageSet):
    """A torchvision data set; its arrays are read at first use."""

    def __init__(self, spec: DataSpec, root: Path, fit: FitNumbering | None = None) -> None:
        self.name = spec.name
        self._fit = fit
        self._spec = spec
        self._root = root

    @cached_property
    def _data(self) -> Any:
        try:
            return torchvision_dataset(self._spec, self._root)
        except (RuntimeError, OSError, ValueError) as error:
            raise self._unreadable(error) from error

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """`NAME/split/number`."""
        prefix = f"{self._spec.source}/{named_split(self._spec)}"
        return tuple(f"{prefix}/{i:06d}" for i in range(len(self._data)))

    @property
    def labels(self) -> np.ndarray | None:
        """Torchvision's class numbers, or those of the experiment where it has other names for
        them or another order; None for an OOD set."""
        return self._numbered[0]

    @property
    def numbering(self) -> Numbering | None:
        """How the labels became class numbers."""
        return self._numbered[1]

    @cached_property
    def _numbered(self) -> tuple[np.ndarray | None, Numbering | None]:
        mapped = "label_map" in self._spec.options
        known = () if mapped else tuple(map(str, getattr(self._data, "classes", None) or ()))
        return number_labels(self.raw_labels, self._spec, self.ids, self._fit, known=known)

    @property
    def raw_labels(self) -> list[str | int] | None:
        """Class numbers whatever the set is used for."""
        for attribute in ("targets", "labels", "_labels"):
            found = getattr(self._data, attribute, None)
            if found is not None:
                return [int(label) for label in found]
        samples = getattr(self._data, "_samples", None)
        return None if samples is None else [int(label) for _, label in samples]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classifier's class names, else torchvision's."""
        if self._spec.options.get("role") == "ood":
            return None
        names = self._spec.options.get("class_names")
        if names:
            return tuple(names)
        return self.numbering.names if self.numbering else None

    @cached_property
    def identity(self) -> str:
        """Hash of the split and of path, size and time of the files on disk.

        Raises
        ------
        DataError
            When the files went away, or cannot be looked at.
        """
        parts = [
            self._spec.source,
            named_split(self._spec),
            repr(self._spec.options.get("label_map")),
        ]
        digest = hashlib.sha256("\n".join(parts).encode())
        for path, stat in self._on_disk():
            digest.update(os.fsencode(f"\n{path}\0{stat.st_size}\0{stat.st_mtime_ns}"))
        digest.update(self._other_labels())
        return digest.hexdigest()

    def _other_labels(self) -> bytes:
        """The labels where they are not torchvision's own numbers, nor `label_map`'s; b"" else."""
        options = self._spec.options
        fit, label_map = options.get("numbered_by"), options.get("label_map", {})
        own = fit is None or (fit.kind, fit.source) == ("torchvision", self._spec.source)
        if own and not options.get("class_names") and not any(map(_is_name, label_map.values())):
            return b""  # so that nothing need be read
        numbers = [label_map.get(str(label), label) for label in self.raw_labels or ()]
        if self.labels is None or numbers == self.labels.tolist():
            return b""
        return self.labels.astype("<i8").tobytes()

    def _on_disk(self) -> list[tuple[str, os.stat_result]]:
        """The set's files in order, at least one, and how large and old each is."""
        marker = marker_path(self._spec, self._root)
        try:
            found = [(path, os.stat(path)) for path in _files(marker)]
        except OSError as error:
            raise self._unreadable(f"{error.filename}: {error.strerror}") from error
        if not found:
            raise self._unreadable(f"no files in {marker}")
        return found

    def _unreadable(self, reason: object) -> DataError:
        return DataError(
            f"data set {self.name!r}: torchvision cannot read {self._spec.source} in "
            f"{str(self._root)!r} ({reason}). Remove the folder and download it again."
        )

    def load(self, index: int) -> Image.Image:
        """Image as torchvision gives it, mode L or RGB."""
        try:
            image: Image.Image = self._data[index][0]
        except (OSError, ValueError, SyntaxError) as error:
            raise BrokenImageError(f"{self.ids[index]}: the image is damaged ({error}).") from error
        return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _is_name(label: Label) -> bool:
    return isinstance(label, str)


def _files(path: Path) -> list[str]:
    if path.is_file():
        return [str(path)]
    walked = os.walk(path, onerror=_raise)
    return sorted(os.path.join(folder, f) for folder, _, files in walked for f in files)


def _raise(error: OSError) -> None:
    raise error

"""Torchvision's data sets by name. Torchvision is imported only when images are asked for."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ood_core.data.files import FileSet, scan_folder
from ood_core.data.image_set import BrokenImageError, ImageSet
from ood_core.data.labels import number_labels
from ood_core.errors import DataError
from ood_core.experiments import DataSpec
from ood_core.paths import data_dir, data_roots

__all__ = [
    "NAMED_SETS",
    "NamedSet",
    "TorchvisionSet",
    "find_named",
    "marker_path",
    "named_folder",
    "open_named",
    "torchvision_dataset",
    "unfinished",
]


@dataclass(frozen=True)
class NamedSet:
    """What is known of a torchvision data set without torchvision.

    Parameters
    ----------
    marker : file or folder below the root that is there once the set is; `{split}` stands for
        the split.
    images : number of images per split.
    megabytes : about how much is downloaded, per split or for all.
    by_train : whether torchvision takes `train=True` instead of `split="train"`.
    arguments : what else torchvision's class is called with.
    """

    marker: str
    images: dict[str, int]
    megabytes: dict[str, int]
    by_train: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)

    def size(self, split: str) -> int:
        """About how many megabytes are downloaded for a split."""
        return self.megabytes.get(split, self.megabytes.get("", 0))


def _digits(folder: str, megabytes: int) -> NamedSet:
    return NamedSet(f"{folder}/raw", {"test": 10000, "train": 60000}, {"": megabytes}, True)


NAMED_SETS: dict[str, NamedSet] = {
    "CIFAR10": NamedSet(
        "cifar-10-batches-py", {"test": 10000, "train": 50000}, {"": 170}, by_train=True
    ),
    "CIFAR100": NamedSet(
        "cifar-100-python", {"test": 10000, "train": 50000}, {"": 169}, by_train=True
    ),
    "MNIST": _digits("MNIST", 12),
    "FashionMNIST": _digits("FashionMNIST", 31),
    "KMNIST": _digits("KMNIST", 21),
    "SVHN": NamedSet(
        "{split}_32x32.mat",
        {"test": 26032, "train": 73257, "extra": 531131},
        {"test": 64, "train": 182, "extra": 1329},
    ),
    "STL10": NamedSet("stl10_binary", {"test": 8000, "train": 5000}, {"": 2640}),
    "DTD": NamedSet(
        "dtd/dtd/images", {"all": 5640, "test": 1880, "train": 1880, "val": 1880}, {"": 625}
    ),
    "Places365": NamedSet("val_256", {"val": 36500}, {"": 530}, arguments={"small": True}),
    "Food101": NamedSet("food-101/images", {"test": 25250, "train": 75750}, {"": 4996}),
    "Flowers102": NamedSet(
        "flowers-102/jpg", {"test": 6149, "train": 1020, "val": 1020}, {"": 345}
    ),
    "OxfordIIITPet": NamedSet(
        "oxford-iiit-pet/images", {"test": 3669, "trainval": 3680}, {"": 811}
    ),
    "EuroSAT": NamedSet("eurosat/2750", {"all": 27000}, {"": 94}),
    "GTSRB": NamedSet("gtsrb/GTSRB", {"test": 12630, "train": 26640}, {"test": 90, "train": 188}),
}
"""Keys and splits are those of `experiments.sources.TORCHVISION_SETS`."""


def named_folder(source: str) -> Path:
    """Folder into which a data set is downloaded."""
    return data_dir() / "torchvision" / source


def find_named(spec: DataSpec) -> Path | None:
    """Torchvision root that holds the set, or None.

    Looked up in each data root: `torchvision/NAME`, `NAME`, `name`, and the root itself, so
    that what torchvision downloaded earlier is found.
    """
    marker = marker_path(spec, Path())
    below = (f"torchvision/{spec.source}", spec.source, spec.source.lower(), "")
    places = (root / sub for root in data_roots() for sub in below)
    flag = unfinished(spec).name
    return next((p for p in places if (p / marker).exists() and not (p / flag).exists()), None)


def unfinished(spec: DataSpec) -> Path:
    """File that stands in the download folder until the set has arrived whole."""
    return named_folder(spec.source) / f".unfinished-{_split(spec)}"


def marker_path(spec: DataSpec, root: Path) -> Path:
    """File or folder that is there once the set is."""
    return root / NAMED_SETS[spec.source].marker.format(split=_split(spec))


def open_named(spec: DataSpec) -> ImageSet:
    """Open a torchvision data set that is on disk.

    Raises
    ------
    DataError
        When it is not on disk, with what to run.
    """
    root = find_named(spec)
    if root is None:
        raise DataError(
            f"data set {spec.name!r}: torchvision's {spec.source} is not on disk (about "
            f"{NAMED_SETS[spec.source].size(_split(spec)):,} MB). Nothing is downloaded unasked: "
            "run `python -m ood_core download EXPERIMENT`, or press Download on the overview page."
        )
    if spec.source == "DTD" and _split(spec) == "all":
        folder = root / NAMED_SETS["DTD"].marker
        return FileSet(spec.name, folder, scan_folder(folder))
    return TorchvisionSet(spec, root)


def torchvision_dataset(spec: DataSpec, root: Path, *, download: bool = False) -> Any:
    """Torchvision's own data set object."""
    import torchvision.datasets

    known = NAMED_SETS[spec.source]
    split = "train" if _split(spec) == "all" else _split(spec)
    arguments = dict(known.arguments)
    if known.by_train:
        arguments["train"] = split == "train"
    elif spec.source != "EuroSAT":
        arguments["split"] = split
    return getattr(torchvision.datasets, spec.source)(str(root), download=download, **arguments)


class TorchvisionSet(ImageSet):
    """A torchvision data set; its arrays are read at first use."""

    def __init__(self, spec: DataSpec, root: Path) -> None:
        self.name = spec.name
        self._spec = spec
        self._root = root

    @cached_property
    def _data(self) -> Any:
        try:
            return torchvision_dataset(self._spec, self._root)
        except (RuntimeError, OSError, ValueError) as error:
            raise DataError(
                f"data set {self.name!r}: torchvision cannot read {self._spec.source} in "
                f"{str(self._root)!r} ({error}). Remove the folder and download it again."
            ) from error

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """`NAME/split/number`."""
        prefix = f"{self._spec.source}/{_split(self._spec)}"
        return tuple(f"{prefix}/{i:06d}" for i in range(len(self._data)))

    @cached_property
    def labels(self) -> np.ndarray | None:
        """Torchvision's class numbers; None for an OOD set."""
        return number_labels(self.raw_labels, self._spec, self.ids)[0]

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
        names = self._spec.options.get("class_names") or getattr(self._data, "classes", None)
        return tuple(names) if names else None

    @cached_property
    def identity(self) -> str:
        """Hash of the split and of path, size and time of the files on disk."""
        parts = [self._spec.source, _split(self._spec), repr(self._spec.options.get("label_map"))]
        digest = hashlib.sha256("\n".join(parts).encode())
        for path in _files(marker_path(self._spec, self._root)):
            stat = os.stat(path)
            digest.update(os.fsencode(f"\n{path}\0{stat.st_size}\0{stat.st_mtime_ns}"))
        return digest.hexdigest()

    def load(self, index: int) -> Image.Image:
        """Image as torchvision gives it, mode L or RGB."""
        try:
            image: Image.Image = self._data[index][0]
        except (OSError, ValueError, SyntaxError) as error:
            raise BrokenImageError(f"{self.ids[index]}: the image is damaged ({error}).") from error
        return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _split(spec: DataSpec) -> str:
    return str(spec.options.get("split") or next(iter(NAMED_SETS[spec.source].images)))


def _files(path: Path) -> list[str]:
    if path.is_file():
        return [str(path)]
    return sorted(os.path.join(folder, f) for folder, _, files in os.walk(path) for f in files)

"""Torchvision's data sets by name: what is known of them without torchvision."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ood_core.experiments import DataSpec
from ood_core.runtime.paths import data_dir, data_roots

__all__ = [
    "NAMED_SETS",
    "NamedSet",
    "find_named",
    "marker_path",
    "named_folder",
    "named_split",
    "unfinished",
]


@dataclass(frozen=True)
class NamedSet:
    """What is known of a torchvision data set without torchvision.

    Parameters
    ----------
    marker : file or folder below the root that is there once the set is, for all splits or
        per split.
    images : number of images per split.
    megabytes : about how much is downloaded, per split or for all.
    by_train : whether torchvision takes `train=True` instead of `split="train"`.
    arguments : what else torchvision's class is called with.
    """

    marker: str | dict[str, str]
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
        {split: f"{split}_32x32.mat" for split in ("test", "train", "extra")},
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
    "GTSRB": NamedSet(
        {"test": "gtsrb/GTSRB/Final_Test/Images", "train": "gtsrb/GTSRB/Training"},
        {"test": 12630, "train": 26640},
        {"test": 90, "train": 188},
    ),
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
    folder = named_folder(spec.source)
    return folder / f".unfinished-{marker_path(spec, folder).name}"


def marker_path(spec: DataSpec, root: Path) -> Path:
    """File or folder that is there once the set is."""
    marker = NAMED_SETS[spec.source].marker
    return root / (marker if isinstance(marker, str) else marker[named_split(spec)])


def named_split(spec: DataSpec) -> str:
    """The split that is asked for, else the set's first."""
    return str(spec.options.get("split") or next(iter(NAMED_SETS[spec.source].images)))

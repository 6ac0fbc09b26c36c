"""What of an experiment's data is on disk, and how to get the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ood_core.data.opening import open_dataset
from ood_core.data.subsets import whole
from ood_core.data.torchvision_names import NAMED_SETS, find_named, named_folder, named_split
from ood_core.errors import DataError
from ood_core.experiments import ClassifierSpec, DataSpec, Experiment
from ood_core.experiments.listing import left_out_text, list_folder
from ood_core.runtime.paths import data_dir, find_data

__all__ = ["DataStatus", "available", "classifier_status", "dataset_status", "experiment_status"]


@dataclass(frozen=True)
class DataStatus:
    """Whether a data set or checkpoint can be used, and what to do when not.

    Parameters
    ----------
    name : of the data set, or "classifier".
    ready : whether it can be used now.
    message : one or two sentences for a reader: what is there, or what is missing.
    fetch : "" when ready, "download" when `download(spec)` gets it, else "by hand".
    folder : where it lies, or where it has to go.
    megabytes : about how much a download fetches, 0 where unknown.
    """

    name: str
    ready: bool
    message: str
    fetch: Literal["", "download", "by hand"] = ""
    folder: str = ""
    megabytes: int = 0


def experiment_status(experiment: Experiment) -> dict[str, DataStatus]:
    """Status of the classifier's files and of each data set, by name."""
    status = {"classifier": classifier_status(experiment)}
    return status | {name: dataset_status(spec) for name, spec in experiment.sets.items()}


def available(experiment: Experiment, status: Mapping[str, DataStatus]) -> Experiment:
    """The experiment without the OOD sets that are not on disk.

    It comes back whole where nothing would be left, and its other parts are never dropped.
    """
    ready = [name for name in experiment.ood_sets if status[name].ready]
    if not ready or len(ready) == len(experiment.ood_sets):
        return experiment
    return experiment.with_ood_sets(ready)


def classifier_status(experiment: Experiment) -> DataStatus:
    """Whether the checkpoint is on disk; named weights are the architecture's own business."""
    spec = experiment.classifier
    if spec.features_only:
        return _head_status(spec)
    if spec.checkpoint is None:
        return DataStatus("classifier", True, "The architecture brings its own weights.")
    found = find_data(spec.checkpoint)
    if found is not None:
        return DataStatus("classifier", True, f"Checkpoint {found.name}.", "", str(found.parent))
    target = data_dir() / spec.checkpoint
    message = f"Checkpoint {str(spec.checkpoint)!r} is not on disk. {_where(spec.checkpoint)}"
    if spec.obtain:
        message += f" {spec.obtain}"
    return DataStatus("classifier", False, message, "by hand", str(target.parent))


def _head_status(spec: ClassifierSpec) -> DataStatus:
    """Whether the head of features from elsewhere is on disk; without one nothing is needed."""
    if spec.head is None:
        return DataStatus("classifier", True, "Features that were computed elsewhere, no head.")
    found = find_data(spec.head)
    if found is not None:
        message = f"Features that were computed elsewhere, head {found.name}."
        return DataStatus("classifier", True, message, "", str(found.parent))
    message = f"Head {str(spec.head)!r} is not on disk. {_where(spec.head)} {spec.obtain or ''}"
    return DataStatus("classifier", False, message.rstrip(), "by hand", str(data_dir() / spec.head))


def dataset_status(spec: DataSpec) -> DataStatus:
    """Whether a data set is on disk and complete; opens no image and downloads nothing."""
    if spec.kind == "builtin":
        return DataStatus(spec.name, True, "Part of OOD Lens.")
    return _torchvision_status(spec) if spec.kind == "torchvision" else _file_status(spec)


def _torchvision_status(spec: DataSpec) -> DataStatus:
    known, split = NAMED_SETS[spec.source], named_split(spec)
    root = find_named(spec)
    if root is not None:
        count = known.images.get(split, 0)
        message = f"{spec.source} {split}, {count:,} images."
        return DataStatus(spec.name, True, message, "", str(root))
    size = known.size(split)
    folder = str(named_folder(spec.source))
    message = f"{spec.source} is not on disk. Torchvision downloads it, about {size:,} MB."
    return DataStatus(spec.name, False, message, "download", folder, size)


def _file_status(spec: DataSpec) -> DataStatus:
    found = find_data(spec.source)
    obtain = str(spec.options.get("obtain", ""))
    if found is None:
        target = str(data_dir() / spec.source)
        message = f"{spec.source!r} is not on disk. {_where(spec.source)} {obtain}".strip()
        return DataStatus(spec.name, False, message, "by hand", target)
    try:
        count, beside = _counted(spec, found)
    except (DataError, OSError) as error:
        return DataStatus(spec.name, False, str(error), "by hand", str(found))
    expected = spec.options.get("count")
    if count == 0 or (expected is not None and count != expected):
        wanted = f"{expected:,}" if expected else "some"
        message = f"{found} holds {_images(count)}, expected {wanted}. {beside} {obtain}"
        message = " ".join(message.split())
        return DataStatus(spec.name, False, message, "by hand", str(found))
    counted = f"{count:,} rows" if spec.kind == "features" else _images(count)
    return DataStatus(spec.name, True, f"{counted}. {beside}".rstrip(), "", str(found))


def _counted(spec: DataSpec, found: Path) -> tuple[int, str]:
    """Images of the whole set, and what is left out of it; labels of a folder may be wrong."""
    if spec.kind == "folder":
        listing = list_folder(found)
        return len(listing.images), left_out_text(listing.left_out)
    images = open_dataset(whole(spec))
    return len(images), left_out_text(images.left_out)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _where(relative: str | Path) -> str:
    return (
        f"Put it at {data_dir() / relative}, or at {str(relative)!r} in a folder that the "
        "environment variable OOD_LENS_DATA names."
    )

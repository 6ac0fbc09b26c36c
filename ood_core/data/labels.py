"""Class numbers from what a data set says: folder names, list entries, columns, label maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ood_core.errors import DataError, did_you_mean
from ood_core.experiments import DataSpec
from ood_core.runtime.names import shown

__all__ = ["RawLabels", "folder_labels", "number_labels"]

RawLabels = Sequence[str | int]
"""A label for each image as the source gives it: a name, or a number (-1 = unknown)."""


def folder_labels(ids: Sequence[str], name: str) -> list[str | int] | None:
    """First folder of each path as its label; None where no image lies in a folder.

    Raises
    ------
    DataError
        When some images lie in class folders and others beside them.
    """
    outside = [i for i in ids if "/" not in i]
    if len(outside) == len(ids):
        return None
    if outside:
        raise DataError(
            f"data set {name!r}: {len(outside)} of {len(ids)} images lie beside the class folders, "
            f"the first is {shown(outside[0])}. Move them into a class folder, or set "
            'labels = "none".'
        )
    return [i.split("/", 1)[0] for i in ids]


def number_labels(
    raw: RawLabels | None, spec: DataSpec, ids: Sequence[str]
) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """Class numbers (n,) and class names of a set; labels of an OOD set mean nothing.

    The label map is applied first. Names are looked up in the classifier's class names, else
    numbered in sorted order, which for an ID set is right only when no class is missing.

    Raises
    ------
    DataError
        On a name that is no class, a number out of range, or a fit set of one class only.
    """
    options = spec.options
    names = tuple(options["class_names"]) if options.get("class_names") else None
    unwanted = options.get("role") == "ood" or options.get("labels") == "none"
    if raw is None or unwanted:
        return None, (None if unwanted else names)
    mapped = _mapped(raw, options.get("label_map", {}))
    if names is None and any(isinstance(label, str) for label in mapped):
        names = _sorted_names(mapped, spec)
    numbers = _numbers(mapped, names, spec)
    _check_range(numbers, names, spec, ids)
    return numbers, names


def _mapped(raw: RawLabels, label_map: Mapping[str, str | int]) -> list[str | int]:
    return [label_map.get(str(label), label) for label in raw] if label_map else list(raw)


def _sorted_names(labels: Sequence[str | int], spec: DataSpec) -> tuple[str, ...]:
    found = tuple(sorted({label for label in labels if isinstance(label, str)}))
    expected = spec.options.get("num_classes")
    if len(found) == 1:
        _refuse_one_class(spec, found[0])
    if expected and len(found) != expected:
        shown = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
        raise DataError(
            f"data set {spec.name!r} has {len(found)} classes ({shown}) but the classifier has "
            f"{expected}, so they cannot be numbered. List all class_names under [classifier] in "
            "the network's order, or give a label_map."
        )
    return found


def _numbers(
    labels: Sequence[str | int], names: tuple[str, ...] | None, spec: DataSpec
) -> np.ndarray:
    number: dict[Any, int] = {name: n for n, name in enumerate(names or ())}
    for label in dict.fromkeys(label for label in labels if isinstance(label, str)):
        if label not in number:
            raise DataError(
                f"data set {spec.name!r}: {label!r} is not a class of the classifier. "
                f"{did_you_mean(label, names or ())} Rename it, give a label_map, or set "
                'labels = "none" when these names are not classes.'
            )
    return np.fromiter(
        (number[label] if isinstance(label, str) else label for label in labels),
        np.int64,
        len(labels),
    )


def _check_range(
    numbers: np.ndarray, names: tuple[str, ...] | None, spec: DataSpec, ids: Sequence[str]
) -> None:
    classes = spec.options.get("num_classes") or (len(names) if names else None)
    bad = np.flatnonzero((numbers < -1) | (numbers >= (classes or np.inf)))
    if len(bad):
        allowed = f"0 to {classes - 1}" if classes else "0 and above"
        raise DataError(
            f"data set {spec.name!r}: label {numbers[bad[0]]} of {shown(ids[bad[0]])} is out of "
            f"range ({len(bad)} of {len(numbers)} are). Allowed: {allowed}, or -1 for unknown."
        )
    known = np.unique(numbers[numbers >= 0])
    if len(known) == 1:
        _refuse_one_class(spec, names[known[0]] if names else known[0])


def _refuse_one_class(spec: DataSpec, what: object) -> None:
    if spec.options.get("role") == "fit":
        raise DataError(
            f"data set {spec.name!r} holds images of one class only ({what}); a fit set needs "
            'several. Point it at the folder above, or set labels = "none".'
        )

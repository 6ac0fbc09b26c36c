"""Deterministic subsets for quick looks: the same images on every machine and every run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from ood_core.data.image_set import ImageSet
from ood_core.data.numbering import Numbering
from ood_core.errors import DataError
from ood_core.experiments import DataSpec

__all__ = ["SubsetView", "choose", "whole"]


def choose(
    ids: Sequence[str], groups: Sequence[object] | None, spec: DataSpec
) -> np.ndarray | None:
    """Indices, ascending, of the images that `per_class` and then `limit` keep; None for all.

    Images are drawn in the order of a hash of their ids: a larger limit keeps what a smaller
    one kept, and adding files changes little.

    Raises
    ------
    DataError
        When `per_class` is asked of a set without class folders or labels.
    """
    limit, per_class = spec.options.get("limit"), spec.options.get("per_class")
    if limit is None and per_class is None:
        return None
    drawn = sorted(range(len(ids)), key=lambda i: _draw(ids[i]))
    if per_class is not None:
        if groups is None:
            raise DataError(
                f"data set {spec.name!r}: per_class = {per_class} needs class folders or labels, "
                "and there are none. Use limit instead."
            )
        drawn = _first_of_each(drawn, groups, per_class)
    return np.array(sorted(drawn[:limit]), dtype=np.int64)


def whole(spec: DataSpec) -> DataSpec:
    """The same set without `limit` and `per_class`."""
    kept = {k: v for k, v in spec.options.items() if k not in ("limit", "per_class")}
    return DataSpec(spec.name, spec.kind, spec.source, kept)


def _draw(image_id: str) -> bytes:
    return hashlib.blake2b(image_id.encode("utf-8", "surrogateescape"), digest_size=8).digest()


def _first_of_each(drawn: list[int], groups: Sequence[object], per_class: int) -> list[int]:
    taken: dict[object, int] = {}
    kept = []
    for index in drawn:
        group = groups[index]
        taken[group] = taken.get(group, 0) + 1
        if taken[group] <= per_class:
            kept.append(index)
    return kept


class SubsetView(ImageSet):
    """Chosen images of another set, read through it. The choice is made at first use."""

    def __init__(self, base: ImageSet, spec: DataSpec) -> None:
        self.name = base.name
        self.left_out = base.left_out
        self._base = base
        self._spec = spec

    @cached_property
    def _index(self) -> np.ndarray:
        labels = self._base.labels
        chosen = choose(self._base.ids, None if labels is None else labels.tolist(), self._spec)
        return np.arange(len(self._base)) if chosen is None else chosen

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids of the chosen images."""
        base = self._base.ids
        return tuple(base[i] for i in self._index)

    @property
    def labels(self) -> np.ndarray | None:
        """Labels of the chosen images."""
        labels = self._base.labels
        return None if labels is None else labels[self._index]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Class names of the whole set."""
        return self._base.class_names

    @property
    def numbering(self) -> Numbering | None:
        """How the whole set's labels became class numbers."""
        return self._base.numbering

    @property
    def identity(self) -> str:
        """Hash of the whole set's identity and of the rule."""
        rule = f"{self._spec.options.get('per_class')}/{self._spec.options.get('limit')}"
        return hashlib.sha256(f"{self._base.identity}\n{rule}".encode()).hexdigest()

    def first_changed(self, indices: Sequence[int]) -> int | None:
        """As the whole set says."""
        found = self._base.first_changed([int(self._index[i]) for i in indices])
        return None if found is None else int(np.searchsorted(self._index, found))

    def path(self, index: int) -> Path | None:
        """File of the image, where it has one."""
        return self._base.path(int(self._index[index]))

    def load(self, index: int) -> Image.Image:
        """Image of the whole set."""
        return self._base.load(int(self._index[index]))

    def thumbnail(self, index: int, size: int = 96) -> Image.Image:
        """Preview made by the whole set."""
        return self._base.thumbnail(int(self._index[index]), size)

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
from ood_core.errors import DataError, did_you_mean
from ood_core.experiments import DataSpec

__all__ = ["ClassView", "SubsetView", "choose", "every_class", "whole"]

_BY_CLASS = ("classes", "other_than")


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
    """The same set without `limit` and `per_class`, with all its classes."""
    return _without(spec, "limit", "per_class", *_BY_CLASS)


def every_class(spec: DataSpec) -> DataSpec:
    """The same set with all its classes, where only some are taken of it."""
    return _without(spec, *_BY_CLASS)


def _without(spec: DataSpec, *options: str) -> DataSpec:
    kept = {k: v for k, v in spec.options.items() if k not in options}
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
        return hashlib.sha256(f"{self._base.identity}\n{self._rule}".encode()).hexdigest()

    @property
    def _rule(self) -> str:
        return f"{self._spec.options.get('per_class')}/{self._spec.options.get('limit')}"

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


class ClassView(SubsetView):
    """The images of some classes of an ID set, or those of its other classes.

    The option `classes` names the classes to take; `other_than` those to leave out, which makes an
    OOD set, whose labels mean nothing. Images without a label are in neither.
    """

    @cached_property
    def _index(self) -> np.ndarray:
        options, labels, numbering = self._spec.options, self._base.labels, self._base.numbering
        named = options.get("classes") or options["other_than"]
        if labels is None or numbering is None:
            raise DataError(
                f"data set {self.name!r}: [id] classes = {list(named)} needs class folders or "
                "labels, and there are none. Leave classes out, or give the set labels."
            )
        numbers = [_number(name, numbering, self.name) for name in named]
        chosen = np.isin(labels, numbers)
        found = np.flatnonzero(chosen if "classes" in options else ~chosen & (labels >= 0))
        if not len(found):
            which = "no image is of" if "classes" in options else "no image is of a class beside"
            raise DataError(
                f"data set {self.name!r}: {which} {', '.join(map(repr, named))}. Name other "
                "classes under [id] classes."
            )
        drawn = choose([self._base.ids[i] for i in found], labels[found].tolist(), self._spec)
        return found if drawn is None else found[drawn]

    @property
    def labels(self) -> np.ndarray | None:
        """Labels of the chosen images; None where they are OOD."""
        return super().labels if "classes" in self._spec.options else None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Class names of the whole set; None where the images are OOD."""
        return super().class_names if "classes" in self._spec.options else None

    @property
    def _rule(self) -> str:
        return repr([super()._rule, *((key, self._spec.options.get(key)) for key in _BY_CLASS)])


def _number(name: str, numbering: Numbering, where: str) -> int:
    """Number of a class that an experiment names."""
    found = numbering.number(name)
    if found is None:
        known = numbering.names or tuple(map(str, range(numbering.count or 0)))
        raise DataError(
            f"data set {where!r}: [id] classes names {name!r}, which is none of its classes. "
            f"{did_you_mean(name, known)}"
        )
    return found

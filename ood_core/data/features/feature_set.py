"""A data set of features from elsewhere: rows of arrays instead of images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TypeGuard

import numpy as np
from PIL import Image

from ood_core.data.decode import decode_image, read_file
from ood_core.data.features.array_file import ArrayFile, Column
from ood_core.data.features.values import numbers, unicode
from ood_core.data.image_set import BrokenImageError, ImageSet
from ood_core.data.numbering import Numbering
from ood_core.runtime.names import shown

__all__ = ["FEATURES", "LOGITS", "FeatureSet", "is_features"]

FEATURES, LOGITS = "features", "logits"
_GAP = 4096
"""Rows between two chosen ones that are read along rather than read apart."""


class FeatureSet(ImageSet):
    """Rows of a file of arrays. Arrays are read when asked for, a few rows at a time.

    Parameters
    ----------
    name : the data set's name.
    arrays : the file.
    ids : id of each row that is taken.
    labels : class numbers (n,), or None.
    numbering : how the labels became class numbers; or None.
    chosen : (n,) rows of the file that are taken, ascending; all for None.
    pictures : (n,) path of each row's picture, None where it has none; or None without any.
    states : size and time of change of each of the file's parts when it was opened.
    """

    def __init__(
        self,
        name: str,
        arrays: ArrayFile,
        ids: Sequence[str],
        labels: np.ndarray | None = None,
        numbering: Numbering | None = None,
        *,
        chosen: np.ndarray | None = None,
        pictures: Sequence[Path | None] | None = None,
        states: tuple[tuple[int, int], ...] = (),
    ) -> None:
        self.name = name
        self.arrays = arrays
        self._ids = tuple(ids)
        self._labels, self._numbering = labels, numbering
        self._chosen = chosen
        self._pictures = pictures
        self._states = states

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the rows."""
        return self._ids

    @property
    def labels(self) -> np.ndarray | None:
        """Class numbers (n,), or None."""
        return self._labels

    @property
    def numbering(self) -> Numbering | None:
        """How the labels became class numbers, or None."""
        return self._numbering

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, or None."""
        return self._numbering.names if self._numbering else None

    @property
    def has_images(self) -> bool:
        """Whether there are pictures of its rows."""
        return self._pictures is not None

    @property
    def has_logits(self) -> bool:
        """Whether the file holds logits."""
        return LOGITS in self.arrays.columns

    @cached_property
    def layers(self) -> Mapping[str, Column]:
        """Layers other than the features, in order of depth: every other array of numbers."""
        taken = (FEATURES, LOGITS, "labels", "ids", "text")
        found = self.arrays.columns.items()
        return {
            k: c for k, c in found if k not in taken and c.kind == "number" and len(c.shape) > 1
        }

    @cached_property
    def identity(self) -> str:
        """Hash of size and time of change of each file, its arrays, ids, labels and rows taken."""
        digest = hashlib.sha256(f"{self.arrays.format}\0{self._states}".encode())
        digest.update("\n".join(map(str, self.arrays.columns.values())).encode())
        digest.update("\0".join(self._ids).encode("utf-8", "surrogatepass"))
        for array in (self._labels, self._chosen):
            digest.update(b"|" if array is None else array.astype("<i8").tobytes())
        return digest.hexdigest()

    def first_changed(self, indices: Sequence[int]) -> int | None:
        """The first row asked for, where the file is not what it was when it was opened."""
        return indices[0] if len(indices) and file_states(self.arrays) != self._states else None

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows start to stop of an array as float32, (stop - start, d).

        Raises
        ------
        DataError
            On NaN and infinity, with the place, and on what cannot be read.
        """
        column, where = self.arrays.columns[name], f"data set {self.name!r}"
        if self._chosen is None:
            return numbers(column, start, stop, where)
        wanted = self._chosen[start:stop]
        cuts = np.flatnonzero(np.diff(wanted) > _GAP) + 1
        runs = [wanted[a:b] for a, b in pairwise([0, *cuts.tolist(), len(wanted)])]
        parts = [
            numbers(column, low, min(low + _GAP, int(run[-1]) + 1), where)[
                run[(run >= low) & (run < low + _GAP)] - low
            ]
            for run in runs
            for low in range(int(run[0]), int(run[-1]) + 1, _GAP)
        ]
        return np.concatenate(parts)

    def text(self, index: int) -> str:
        """What is shown in place of a picture: the array `text`, "" without it."""
        column = self.arrays.columns.get("text")
        if column is None or column.kind != "text":
            return ""
        row = index if self._chosen is None else int(self._chosen[index])
        return unicode(str(column.read(row, row + 1)[0]))

    def load(self, index: int) -> Image.Image:
        """The row's picture.

        Raises
        ------
        BrokenImageError
            Where it has none, or it cannot be read.
        """
        path = self.path(index)
        what = f"row {shown(self._ids[index])} of {self.name!r}"
        if path is None:
            raise BrokenImageError(
                f"{what} has no picture: the set holds features. thumbnails = a folder or an array "
                "of paths adds pictures."
            )
        return decode_image(read_file(path, shown(str(path))), shown(str(path)))

    def path(self, index: int) -> Path | None:
        """File of the row's picture, where it has one."""
        return None if self._pictures is None else self._pictures[index]

    def __repr__(self) -> str:
        return f"FeatureSet({self.name!r}, {len(self):,} rows, {self.arrays.listed()})"


def is_features(images: ImageSet) -> TypeGuard[FeatureSet]:
    """Whether a set holds features rather than images."""
    return isinstance(images, FeatureSet)


def file_states(arrays: ArrayFile) -> tuple[tuple[int, int], ...]:
    """Size and time of change of each file, -1 where it is gone."""
    states = []
    for file in arrays.files:
        try:
            stat = file.stat()
            states.append((stat.st_size, stat.st_mtime_ns))
        except OSError:
            states.append((-1, -1))
    return tuple(states)

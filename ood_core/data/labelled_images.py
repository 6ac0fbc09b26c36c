"""What folders, lists and archives have in common: ids and labels known from the start."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ood_core.data.decode import decode_image
from ood_core.data.image_set import ImageSet, thumbnail_of
from ood_core.data.numbering import Numbering
from ood_core.experiments.listing import LeftOut

__all__ = ["ListedSet"]


class ListedSet(ImageSet):
    """Image set with given ids and labels; a subclass says where the bytes are.

    Parameters
    ----------
    name : the data set's name.
    ids : unique id of each image.
    labels : class numbers (n,), or None.
    numbering : how the labels became class numbers, and their names; or None.
    left_out : what lies beside the images.
    """

    def __init__(
        self,
        name: str,
        ids: Sequence[str],
        labels: np.ndarray | None = None,
        numbering: Numbering | None = None,
        left_out: tuple[LeftOut, ...] = (),
    ) -> None:
        self.name = name
        self.left_out = left_out
        self._ids = tuple(ids)
        self._labels = labels
        self._numbering = numbering

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids in order."""
        return self._ids

    @property
    def labels(self) -> np.ndarray | None:
        """Class numbers (n,), or None."""
        return self._labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, or None."""
        return self._numbering.names if self._numbering else None

    @property
    def numbering(self) -> Numbering | None:
        """How the labels became class numbers, or None."""
        return self._numbering

    def load(self, index: int) -> Image.Image:
        """Decoded image; `BrokenImageError` names the file."""
        return decode_image(self._bytes(index), self._shown(index))

    def thumbnail(self, index: int, size: int = 96) -> Image.Image:
        """Preview; large JPEGs are read at a fraction of their size."""
        image = decode_image(self._bytes(index), self._shown(index), reduce_to=2 * size)
        return thumbnail_of(image, size)

    @abstractmethod
    def _bytes(self, index: int) -> bytes:
        """The encoded image; raises BrokenImageError when it cannot be read."""

    @abstractmethod
    def _shown(self, index: int) -> str:
        """How messages name the image."""

    def _label_digest(self) -> bytes:
        labels = b"" if self._labels is None else self._labels.astype("<i8").tobytes()
        return hashlib.sha256(labels).digest()

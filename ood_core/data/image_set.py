"""What every data set looks like to the rest: ids, labels, images by number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ood_core.data.numbering import Numbering
from ood_core.errors import DataError
from ood_core.experiments.listing import LeftOut

__all__ = ["BrokenImageError", "ImageSet", "thumbnail_bytes", "thumbnail_of"]


class BrokenImageError(DataError):
    """One image cannot be read. The message names the file; the others are not affected."""


class ImageSet(ABC):
    """Images of one data set, read one at a time.

    Attributes
    ----------
    name : the data set's name in its experiment.
    ids : n stable sample ids (relative path, or "source/number"); unique.
    labels : (n,) int64 class numbers, -1 where unknown; None where there are none.
    class_names : names of the classes that `labels` count, or None.
    numbering : how the labels became class numbers; None where there are none.
    identity : hash that changes when any image, label or the order changes. Cheap to get.
    left_out : what lies where the images lie and is none of them, with the reason.
    """

    name: str
    left_out: tuple[LeftOut, ...] = ()

    @property
    def has_images(self) -> bool:
        """Whether there is a picture of its samples: not of features from elsewhere."""
        return True

    def text(self, index: int) -> str:
        """What to show of a sample in place of a picture; "" where there is nothing."""
        return ""

    @property
    @abstractmethod
    def ids(self) -> tuple[str, ...]:
        """Sample ids, in order."""

    @property
    @abstractmethod
    def labels(self) -> np.ndarray | None:
        """Class numbers (n,), int64, or None."""

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, or None."""

    @property
    def numbering(self) -> Numbering | None:
        """How the labels became class numbers; None where there are none."""
        return None

    @property
    @abstractmethod
    def identity(self) -> str:
        """Hash of what the set consists of."""

    @abstractmethod
    def load(self, index: int) -> Image.Image:
        """Image at full size, upright, mode L or RGB.

        Raises
        ------
        BrokenImageError
            When the file cannot be read, with its name and why.
        """

    def first_changed(self, indices: Sequence[int]) -> int | None:
        """The first of these images that is not what `identity` hashed any more, if it is known."""
        return None

    def path(self, index: int) -> Path | None:
        """File of the image, or None where it is not a file of its own."""
        return None

    def thumbnail(self, index: int, size: int = 96) -> Image.Image:
        """Image scaled to fit into `size` x `size`; small ones are enlarged without smoothing."""
        return thumbnail_of(self.load(index), size)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self)} images)"


def thumbnail_of(image: Image.Image, size: int = 96) -> Image.Image:
    """Image scaled so that its longer side is `size` pixels.

    Enlarging repeats pixels, so that an 8 x 8 digit shows what the network was given.
    """
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
    return image.resize((width, height), method, reducing_gap=2.0 if scale < 1 else None)


def thumbnail_bytes(image: Image.Image, size: int = 96, format: str = "PNG") -> bytes:
    """Encoded thumbnail (`format` "PNG" or "WEBP"), for galleries and hover texts."""
    out = BytesIO()
    thumbnail_of(image, size).save(out, format=format)
    return out.getvalue()

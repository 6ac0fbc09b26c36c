"""The test-time transform: bit-equal to torchvision on PIL images, without torch."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ood_core.experiments import Preprocessing

__all__ = ["Transform"]

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}


class Transform:
    """Resize (shorter side), centre crop, to [0, 1], normalise per channel.

    Equal bit for bit to torchvision's `Resize`, `CenterCrop`, `ToTensor`, `Normalize` applied
    to the PIL image. The last two act on each of 256 byte values alone, so a table of them
    replaces the arithmetic.

    Parameters
    ----------
    preprocessing : what to do.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing
        mean = np.asarray(preprocessing.mean, np.float32)[:, None]
        std = np.asarray(preprocessing.std, np.float32)[:, None]
        values = np.arange(256, dtype=np.float32) / np.float32(255)
        self._table = (values - mean) / std

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Return the network's input for one image: float32, shape (channels, height, width)."""
        pixels = np.asarray(self.image(image))
        planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        return np.stack([row[plane] for row, plane in zip(self._table, planes, strict=True)])

    def image(self, image: Image.Image) -> Image.Image:
        """The image as the network sees it, before it becomes numbers."""
        p = self.preprocessing
        if image.mode != p.mode:
            image = image.convert(p.mode)
        if p.resize is not None:
            image = _resize(image, p.resize, _FILTERS[p.interpolation])
        if p.center_crop is not None:
            image = _center_crop(image, p.center_crop)
        return image


def _resize(image: Image.Image, size: int, method: Image.Resampling) -> Image.Image:
    """Scale the shorter side to `size`; the longer one is rounded down, as torchvision does."""
    width, height = image.size
    if width <= height:
        target = (size, int(size * height / width))
    else:
        target = (int(size * width / height), size)
    return image if target == image.size else image.resize(target, method)


def _center_crop(image: Image.Image, size: int) -> Image.Image:
    """Cut out the middle; a side that is too short is padded with black first."""
    width, height = image.size
    missing_x, missing_y = max(0, size - width), max(0, size - height)
    if missing_x or missing_y:
        padded = Image.new(image.mode, (width + missing_x, height + missing_y))
        padded.paste(image, (missing_x // 2, missing_y // 2))
        image = padded
    width, height = image.size
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))

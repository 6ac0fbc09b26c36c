"""The test-time transform: bit-equal to torchvision on PIL images, without torch."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ood_core.errors import DataError
from ood_core.experiments import Preprocessing

__all__ = ["Transform"]

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}

_MAX_RESIZED = 64_000_000
"""Pixels after resizing above which only the middle that the crop keeps is resized."""


class Transform:
    """Resize (shorter side, or both), centre crop, to [0, 1], normalise per channel.

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
        out = np.empty(planes.shape, np.float32)
        for channel, plane in enumerate(np.ascontiguousarray(planes)):
            # "clip" changes nothing for bytes; it lets numpy write into `out` directly.
            np.take(self._table[channel], plane, out=out[channel], mode="clip")
        return out

    def image(self, image: Image.Image) -> Image.Image:
        """The image as the network sees it, before it becomes numbers."""
        p = self.preprocessing
        if image.mode != p.mode:
            image = image.convert(p.mode)
        if p.resize is not None:
            size = _resized(image.size, p.resize)
            if size[0] * size[1] > _MAX_RESIZED and isinstance(p.resize, int):
                image, size = _middle(image, size, p.center_crop)
            if size != image.size:
                image = image.resize(size, _FILTERS[p.interpolation])
        if p.center_crop is not None:
            image = _center_crop(image, p.center_crop)
        return image


def _resized(size: tuple[int, int], to: int | tuple[int, int]) -> tuple[int, int]:
    """(width, height) with the shorter side scaled to `to`, the longer rounded down as in
    torchvision; or the (height, width) of `to`, whatever the size."""
    if not isinstance(to, int):
        return to[1], to[0]
    (width, height), shorter = size, to
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter


def _middle(
    image: Image.Image, size: tuple[int, int], crop: int | None
) -> tuple[Image.Image, tuple[int, int]]:
    """Middle of a very long image, and its size once resized.

    Resizing all of a strip of 1 x 60,000 pixels would take gigabytes; the crop keeps its middle.
    """
    if crop is None:
        raise DataError(
            f"an image of {image.size[0]:,} x {image.size[1]:,} pixels would be resized to "
            f"{size[0]:,} x {size[1]:,}; set center_crop under [preprocessing]."
        )
    width, height = image.size
    kept = min(max(size), 4 * max(crop, min(size)))
    length = max(1, round(max(image.size) * kept / max(size)))
    start = (max(image.size) - length) // 2
    if width > height:
        part = image.crop((start, 0, start + length, height))
    else:
        part = image.crop((0, start, width, start + length))
    return part, _resized(part.size, min(size))


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

"""Pixels of more than 8 bits as 8 bits, and what was assumed where the file does not say it all."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ood_core.data.fits_header import fits_range
from ood_core.data.image_set import BrokenImageError

__all__ = [
    "Depth",
    "depth_of",
    "eight_bits",
    "grey_as_8_bits",
    "has_deep_colour",
    "is_black",
    "take_low_bytes",
]

_BITS, _WHITE_IS, _PLANAR, _SIGN = 258, 262, 284, 339
"""TIFF tags BitsPerSample, PhotometricInterpretation, PlanarConfiguration and SampleFormat."""
_ROUNDING = 1e-3
"""What resampling may add beyond the ends of a range, as a share of it."""


@dataclass(frozen=True)
class Depth:
    """What a file says of its pixel values.

    Parameters
    ----------
    bits : per channel, of integers.
    signed : whether integers may be negative.
    inverted : whether 0 is white.
    scaled : whether the reader has already scaled them to 16 bits (PGM has a range of its own).
    shift : what is to be added to integers, which are stored signed; None where they are stored
        as they are.
    """

    bits: int = 16
    signed: bool = False
    inverted: bool = False
    scaled: bool = False
    shift: int | None = None


def depth_of(image: Image.Image) -> Depth:
    """Depth that an opened file declares."""
    tags: Any = getattr(image, "tag_v2", {})

    def first(tag: int, default: int) -> int:
        found = tags.get(tag, default)
        return int(found[0] if isinstance(found, tuple) else found)

    if image.format == "FITS" and image.mode.startswith("I"):
        bits, unsigned = fits_range(image.fp.getvalue())  # type: ignore[attr-defined]
        return Depth(bits, not unsigned, shift=2 ** (bits - 1) if unsigned else 0)
    with suppress(Exception):  # damaged tags say nothing about the pixels
        bits = first(_BITS, 16)
        return Depth(bits, first(_SIGN, 1) == 2, first(_WHITE_IS, 1) == 0, image.format == "PPM")
    return Depth()


def grey_as_8_bits(image: Image.Image, depth: Depth, name: str) -> tuple[Image.Image, str]:
    """Integer or float grey as mode L, rounded, and what had to be assumed, "" for nothing.

    Pillow has no signed 8-bit pixels and no unsigned ones of 32 bits, but keeps their bits. The
    value that a PNG declares to be transparent is white.

    Raises
    ------
    BrokenImageError
        When the values fit no range: negative, not finite, or too large.
    """
    stored = _with_sign(np.asarray(image), depth)
    levels, note = eight_bits(stored.astype(np.float64), image.mode == "F", depth, name)
    levels = 255 - levels if depth.inverted else levels
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        levels = np.where(stored == clear, np.uint8(255), levels)
    return Image.fromarray(levels), note


def _with_sign(stored: np.ndarray, depth: Depth) -> np.ndarray:
    """Integers as the file means them, where Pillow has no pixels of that type."""
    if depth.shift is not None:
        signed = stored.view(np.int16) if stored.dtype == np.uint16 else stored
        return signed.astype(np.int64) + depth.shift
    if stored.dtype == np.uint8:
        return stored.view(np.int8)
    if stored.dtype == np.int32 and depth.bits == 32 and not depth.signed:
        return stored.view(np.uint32)
    return stored


def eight_bits(values: np.ndarray, real: bool, depth: Depth, name: str) -> tuple[np.ndarray, str]:
    """`round(255 v / full)`, where `full` is the value of white, and the assumption made.

    Real values have full = 1, or 255 where they run beyond 2. Integers have 2^bits - 1, half of
    that when signed, 65,535 for 32 bits, and 255 where none is larger: 8-bit values in a wider
    type, which would come out black.

    Parameters
    ----------
    values : (height, width).
    real : whether the file holds floating-point numbers.

    Raises
    ------
    BrokenImageError
        As `grey_as_8_bits`.
    """
    low, high = float(values.min()), float(values.max())
    full, note = (_of_reals if real else _of_integers)(low, high, depth)
    slack = full * _ROUNDING if real else 0.0
    if not (low >= -slack and high <= full + slack):
        raise BrokenImageError(
            f"{name}: pixel values run from {low:g} to {high:g}, not from 0 to {full:g}; "
            "save it with 8 or 16 bits per channel."
        )
    return np.rint(values * (255 / full)).clip(0, 255).astype(np.uint8), note


def _of_reals(low: float, high: float, depth: Depth) -> tuple[float, str]:
    if 2 <= high <= 255 * (1 + _ROUNDING):
        return 255.0, f"real values from {low:g} to {high:g} were taken as 0 to 255"
    return 1.0, ""


def _of_integers(low: float, high: float, depth: Depth) -> tuple[float, str]:
    if depth.scaled:
        return 65535.0, _dark(high)
    ran = f"{depth.bits}-bit values from {low:g} to {high:g} were taken as"
    if depth.signed and depth.bits == 8:
        return 127.0, f"signed {ran} 0 to 127"
    if 0 < high <= 255 and low >= 0:
        return 255.0, f"{ran} 0 to 255"
    if depth.bits < 16:
        return float(2**depth.bits - 1), ""
    if depth.signed and depth.bits == 16:
        return 32767.0, f"signed {ran} 0 to 32,767"
    return 65535.0, f"{ran} 0 to 65,535" if depth.bits > 16 and high else _dark(high)


def _dark(high: float) -> str:
    """Values that keep to 12 of 16 bits: an image that is dark, or was saved in the wrong depth."""
    if not 0 < high < 4096:
        return ""
    return f"the brightest value is {high:g} of 65,535: dark as 16 bits, which are assumed"


def has_deep_colour(image: Image.Image) -> bool:
    """Whether an opened file has several channels of 16 bits, of which Pillow reads the high
    bytes."""
    return image.mode in ("RGB", "RGBA", "LA") and any(
        ";16" in _raw_mode(tile) for tile in getattr(image, "tile", ())
    )


def is_black(image: Image.Image) -> bool:
    """Whether every channel but the transparency is 0 everywhere."""
    return not any(image.getchannel(c).getextrema()[1] for c in image.getbands() if c != "A")


def take_low_bytes(image: Image.Image) -> bool:
    """Have an opened file of 16-bit colour read as its low bytes; False where that cannot be.

    Where 8-bit values were saved in 16 bits, all high bytes are 0. Read as of the other byte
    order, the file gives the low ones. Of channels that lie apart Pillow reads only the high ones.
    """
    if getattr(image, "tag_v2", {}).get(_PLANAR, 1) == 2:
        return False
    other = {";16L": ";16B", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}
    other[";16B"] = ";16L"
    changed = []
    for tile in image.tile:  # type: ignore[attr-defined]
        raw = _raw_mode(tile)
        if image.mode not in ("RGB", "RGBA") or raw[-4:] not in other:
            return False
        swapped = raw[:-4] + other[raw[-4:]]
        args = swapped if isinstance(tile.args, str) else (swapped, *tile.args[1:])
        changed.append(tile._replace(args=args))
    image.tile = changed  # type: ignore[attr-defined]
    return bool(changed)


def _raw_mode(tile: Any) -> str:
    return str(tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0])

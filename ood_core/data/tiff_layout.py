"""TIFF files whose layout Pillow takes for another one, set right before they are read."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageFile, ImagePalette

__all__ = ["set_right"]

_BITS, _SAMPLES, _PLANAR, _PALETTE = 258, 277, 284, 320
"""TIFF tags: BitsPerSample, SamplesPerPixel, PlanarConfiguration, ColorMap."""


def set_right(opened: Image.Image) -> None:
    """Have an opened TIFF read as it is meant.

    Where each channel lies by itself and nothing is packed, Pillow reads 16-bit channels as 8-bit
    ones, and a single channel without its depth, sign and direction. A palette of 8-bit values in
    16 bits would come out black.
    """
    image: Any = opened
    if image.format != "TIFF":
        return
    if image.tag_v2.get(_PLANAR, 1) == 2 and not image.use_load_libtiff:
        if image.tag_v2.get(_SAMPLES, 1) == 1:  # one channel lies the same way in either layout
            image.tag_v2[_PLANAR] = 1
            image._setup()
        elif max(image.tag_v2.get(_BITS, (8,))) == 16:
            _leave_to_libtiff(image)
    colours = image.tag_v2.get(_PALETTE, ()) if image.mode == "P" else ()
    if colours and max(colours) <= 255:
        image.palette = ImagePalette.raw("RGB;L", bytes(colours))


def _leave_to_libtiff(image: Any) -> None:
    """Have libtiff read the channels, which knows their depth."""
    raw = "".join(dict.fromkeys(tile.args[0] for tile in image.tile))
    args = (f"{raw};16N", False, image.tag_v2.offset)
    image.tile = [ImageFile._Tile("libtiff", (0, 0, *image.size), 0, args)]
    image.use_load_libtiff = True

"""Any image file to an upright 8-bit RGB or grey image, or one line that says why not."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from ood_core.data.image_set import BrokenImageError

__all__ = ["MAX_PIXELS", "decode_image", "read_file"]

MAX_PIXELS = 89_478_485
"""Largest image decoded at full size (Pillow's own limit). Larger JPEGs are read reduced."""

_REDUCED_SIDE = 2048
"""Least shorter side of a JPEG read reduced: more than any transform keeps."""

_MAX_FILE_BYTES = 500_000_000
_ORIENTATION = 0x0112


def decode_image(
    source: bytes | Path, name: str | None = None, *, reduce_to: int | None = None
) -> Image.Image:
    """Decode one image.

    The first frame of an animation; EXIF orientation applied; palettes, CMYK and the like
    converted to RGB; transparency laid over white; 16-bit grey scaled to 8 bits, never
    clipped. Grey images stay grey (mode L), all others are RGB.

    Parameters
    ----------
    source : the file's bytes or its path.
    name : what messages call it; by default the path.
    reduce_to : for previews only: a JPEG may be read at a fraction of its size, its shorter
        side not below this. Pixels then differ slightly from those of the full size.

    Raises
    ------
    BrokenImageError
        When the file is missing, empty, damaged, cut short, not an image, or too large to
        decode safely.
    """
    name = name or (str(source) if isinstance(source, Path) else "image")
    data = read_file(source, name) if isinstance(source, Path) else source
    if not data:
        raise BrokenImageError(f"{name}: the file is empty (0 bytes).")
    try:
        with _opened(data) as image:
            _bound_size(image, name, reduce_to)
            image.load()
            return _eight_bit(_upright(image), name)
    except BrokenImageError:
        raise
    except UnidentifiedImageError as error:
        raise BrokenImageError(f"{name}: not an image in a known format.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise BrokenImageError(f"{name}: {_TOO_LARGE}") from error
    except Exception as error:
        # Decoders raise almost anything on damaged files.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BrokenImageError(f"{name}: the image is damaged ({reason}).") from error


def read_file(path: Path, name: str) -> bytes:
    """Bytes of a file; `BrokenImageError` when it cannot be read or is no image by its size."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MAX_FILE_BYTES:
                raise BrokenImageError(f"{name}: {size:,} bytes is too large for an image.")
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or error
        raise BrokenImageError(f"{name}: cannot be read ({reason}).") from error


_TOO_LARGE = f"too large to decode safely (more than {MAX_PIXELS / 1e6:.0f} megapixels)."


def _opened(data: bytes) -> Image.Image:
    """JPEGs are opened directly: Pillow's size limit would refuse what can be read reduced."""
    stream = BytesIO(data)
    return JpegImageFile(stream) if data[:3] == b"\xff\xd8\xff" else Image.open(stream)


def _bound_size(image: Image.Image, name: str, reduce_to: int | None) -> None:
    """Have a large JPEG read at a fraction of its size; refuse what memory cannot hold."""
    width, height = image.size
    too_large = width * height > MAX_PIXELS
    # A progressive file keeps all its coefficients while it is read, reduced or not.
    hopeless = too_large and image.info.get("progressive")
    if isinstance(image, JpegImageFile) and (too_large or reduce_to) and not hopeless:
        scale = min(1.0, (reduce_to or _REDUCED_SIDE) / min(width, height))
        image.draft(None, (int(width * scale) or 1, int(height * scale) or 1))
    if image.size[0] * image.size[1] > MAX_PIXELS:
        raise BrokenImageError(f"{name}: {width:,} x {height:,} pixels is {_TOO_LARGE}")


def _upright(image: Image.Image) -> Image.Image:
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
    except Exception:  # noqa: BLE001 - damaged EXIF data says nothing about the pixels
        return image
    return ImageOps.exif_transpose(image) if turned else image


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    """The pixels as mode L or RGB."""
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _scaled(image, name)
    if "A" in mode or "a" in mode or "transparency" in image.info:
        pixels = image.convert("RGBA")
        white = Image.new("RGBA", pixels.size, "white")
        return Image.alpha_composite(white, pixels).convert("RGB")
    if mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")


def _scaled(image: Image.Image, name: str) -> Image.Image:
    """16-bit grey (0 to 65,535) or float grey (0 to 1) as 8-bit grey, rounded."""
    values = np.asarray(image).astype(np.float64)
    full = 1.0 if image.mode == "F" else 65535.0
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= full):
        raise BrokenImageError(
            f"{name}: pixel values run from {low:g} to {high:g}, not from 0 to {full:g}; "
            "save it with 8 or 16 bits per channel."
        )
    return Image.fromarray(np.rint(values * (255 / full)).astype(np.uint8))

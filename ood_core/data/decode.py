"""Any image file to an upright 8-bit RGB or grey image, or one line that says why not."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from ood_core.data.fits_header import fits_planes
from ood_core.data.grey_levels import (
    Depth,
    depth_of,
    grey_as_8_bits,
    has_deep_colour,
    is_black,
    take_low_bytes,
)
from ood_core.data.image_set import BrokenImageError
from ood_core.data.tiff_layout import set_right
from ood_core.experiments.listing import what_instead
from ood_core.experiments.sources import image_formats
from ood_core.runtime.names import shown

__all__ = ["MAX_PIXELS", "decode_image", "decoding_note", "read_file"]

MAX_PIXELS = 89_478_485
"""Largest image decoded at full size (Pillow's own limit). Larger JPEGs are read reduced."""

_REDUCED_SIDE = 2048
"""Least shorter side of a JPEG read reduced: more than any transform keeps."""

_MAX_FILE_BYTES = 500_000_000
_ORIENTATION = 0x0112
_FIRST_FRAME = "the first frame of an animation was taken"
_NOTE: Any = ("ood_core", "note")
"""Key in `Image.info`; files give text keys only, so none can claim it."""


def decode_image(
    source: bytes | Path, name: str | None = None, *, reduce_to: int | None = None
) -> Image.Image:
    """Decode one image.

    The first frame of an animation, the first page of a TIFF; EXIF orientation applied; palettes,
    CMYK and the like converted to RGB; transparency laid over white; deeper pixels scaled to 8
    bits, never clipped. Grey images stay grey (mode L), all others are RGB. What had to be
    assumed of the pixels is in `decoding_note`.

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
    name = name or (shown(str(source)) if isinstance(source, Path) else "image")
    data = read_file(source, name) if isinstance(source, Path) else source
    if not data:
        raise BrokenImageError(f"{name}: the file is empty (0 bytes).")
    try:
        with _opened(data) as image:
            _bound_size(image, name, reduce_to)
            depth, notes = depth_of(image), [_several(data, image)]
            deep = has_deep_colour(image)
            image.load()
            stored = image
            if deep and is_black(image):
                stored, note = _lower_half(data, image)
                notes.append(note)
            pixels, note = _eight_bit(_upright(stored), depth, name)
            return _noted(pixels, [*notes, note])
    except BrokenImageError:
        raise
    except UnidentifiedImageError as error:
        raise BrokenImageError(f"{name}: {_what_it_is(data)}.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise BrokenImageError(f"{name}: {_TOO_LARGE}") from error
    except Exception as error:
        # Decoders raise almost anything on damaged files.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BrokenImageError(f"{name}: the image is damaged ({reason}).") from error


def decoding_note(image: Image.Image) -> str:
    """What `decode_image` assumed of an image's pixels, as one line; "" where nothing."""
    return str(image.info.get(_NOTE, ""))


def _noted(image: Image.Image, notes: Sequence[str]) -> Image.Image:
    if text := "; ".join(note for note in notes if note):
        image.info = {**image.info, _NOTE: text}
    return image


def read_file(path: Path, name: str) -> bytes:
    """Bytes of a file; `BrokenImageError` when it cannot be read or is no image by its size."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):  # opening a FIFO waits, and a device may have no end
            raise BrokenImageError(f"{name}: cannot be read (a {what_instead(mode)}).")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MAX_FILE_BYTES:
                raise BrokenImageError(f"{name}: {size:,} bytes is too large for an image.")
            return file.read()
    except BrokenImageError:
        raise
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise BrokenImageError(f"{name}: cannot be read ({reason}).") from error


_OTHER_PIXELS = (
    "a damaged {}, or one of a type of pixels that Pillow does not read; save it with 8 bits per "
    "channel"
)
_AS_IMAGE = "save it as PNG or JPEG"
_KINDS: tuple[tuple[str, str], ...] = (
    (r"II[*+]\0|MM\0[*+]", _OTHER_PIXELS.format("TIFF")),
    (r"8BPS", _OTHER_PIXELS.format("PSD")),
    (r"P[3-7Ff]\s", _OTHER_PIXELS.format("PNM")),
    (r"....ftyp(?:hei|hev|mif1|msf1)", f"a HEIC photograph, which is not read here; {_AS_IMAGE}"),
    (r"\xff\n|\0\0\0\x0cJXL ", f"a JPEG XL image, which is not read here; {_AS_IMAGE}"),
    (r"\s*(?:<\?xml[^>]*>\s*)?<svg", f"an SVG drawing, which has no pixels; {_AS_IMAGE}"),
    (r"%PDF", f"a PDF document; {_AS_IMAGE}"),
    (r"\s*<", "a web page or other text; download the image itself"),
    (r"version https://git-lfs", "a Git LFS pointer, not the image; run git lfs pull"),
    (r"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b", "an archive, not an image; unpack it, or name it .zip "
     "where zips are taken"),
)  # fmt: skip
"""First bytes of what is brought instead of an image, and what to do."""


def _what_it_is(data: bytes) -> str:
    """What a file that no decoder knows seems to be, and what to do."""
    start = data[:200].decode("latin-1")
    for pattern, what in _KINDS:
        if re.match(pattern, start, re.DOTALL):
            return what
    return f"not an image in a known format; {_AS_IMAGE}"


_TOO_LARGE = f"too large to decode safely (more than {MAX_PIXELS / 1e6:.0f} megapixels)."


def _opened(data: bytes) -> Image.Image:
    """JPEGs are opened directly: Pillow's size limit would refuse what can be read reduced."""
    stream = BytesIO(data)
    if data[:3] == b"\xff\xd8\xff":
        return JpegImageFile(stream)
    image = Image.open(stream, formats=image_formats())
    set_right(image)
    return image


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


def _several(data: bytes, image: Image.Image) -> str:
    """Says that an image is the first of several.

    Looking for more moves GIF and TIFF files to other frames, so these are opened once more.
    """
    if image.format in ("AVIF", "PNG", "WEBP"):
        return _FIRST_FRAME if getattr(image, "is_animated", False) else ""
    if image.format == "FITS":
        planes = fits_planes(data)
        return f"the first of {planes} planes was taken" if planes > 1 else ""
    if image.format not in ("GIF", "TIFF"):
        return ""
    with suppress(Exception), _opened(data) as other:  # damaged later frames do not matter
        if image.format == "GIF":
            return _FIRST_FRAME if getattr(other, "is_animated", False) else ""
        pages = getattr(other, "n_frames", 1)
        return f"the first of {pages} pages was taken" if pages > 1 else ""
    return ""


def _lower_half(data: bytes, black: Image.Image) -> tuple[Image.Image, str]:
    """16-bit colour whose high bytes are all 0: its low bytes, where they hold a picture."""
    dark = "16-bit colour in which nothing is brighter than 255 of 65,535"
    other = _opened(data)
    if not take_low_bytes(other):
        return black, f"{dark}: black in 8 bits"
    other.load()
    return (black, "") if is_black(other) else (other, f"{dark} was taken as 0 to 255")


def _eight_bit(image: Image.Image, depth: Depth, name: str) -> tuple[Image.Image, str]:
    """The pixels as mode L or RGB, and what was assumed of grey ones of more than 8 bits."""
    mode = image.mode
    if mode.startswith("I") or mode == "F" or (mode == "L" and depth.signed):
        return grey_as_8_bits(image, depth, name)
    return _converted(image), ""


def _converted(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # Pillow converts it to nothing else
        image = image.convert("LA")
    mode = image.mode
    if "A" in mode or "a" in mode or "transparency" in image.info:
        pixels = image.convert("RGBA")
        white = Image.new("RGBA", pixels.size, "white")
        return Image.alpha_composite(white, pixels).convert("RGB")
    if mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")

"""Pixels of more than 8 bits: the range that is meant, and a note where the file leaves it open."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ood_core.data import BrokenImageError, decode_image, decoding_note, read_uploads
from tests.data.test_decode import _png, encoded

RAMP = np.arange(256, dtype=np.float64).reshape(16, 16)


def tiff(
    values: np.ndarray,
    bits: int,
    kind: int = 1,
    photometric: int = 1,
    packed: bool = False,
    apart: bool = False,
    more: Mapping[int, object] | None = None,
) -> bytes:
    """A little-endian TIFF, written by hand; values (height, width[, channels]), which may lie
    apart."""
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    suffix = {1: "u", 2: "i", 3: "f"}[kind]
    stored = values.reshape(height, width, channels)
    stored = stored.transpose(2, 0, 1) if apart else stored
    data = stored.astype(f"<{suffix}{bits // 8}").tobytes()
    data = zlib.compress(data) if packed else data
    entries = {
        256: width, 257: height, 259: 8 if packed else 1, 262: photometric, 277: channels,
        278: height, 279: len(data), 284: 2 if apart else 1, **(more or {}),
    }  # fmt: skip
    tags = ImageFileDirectory_v2(prefix=b"II")
    for tag, value in entries.items():
        tags[tag] = value
    tags[258], tags[339] = (bits,) * channels, (kind,) * channels
    pieces = channels if apart else 1
    size = len(data) // pieces
    tags[279] = (size,) * pieces
    tags[273] = tuple(size * i for i in range(pieces))  # moved behind the tags when written
    return b"II*\0" + pack("<I", 8) + tags.tobytes(8) + data


def decoded(data: bytes) -> tuple[np.ndarray, str]:
    image = decode_image(data, "a.tif")
    assert image.mode in ("L", "RGB")
    return np.asarray(image), decoding_note(image)


@pytest.mark.parametrize(
    ("bits", "kind", "says"),
    [(16, 1, "16-bit"), (32, 1, "32-bit"), (32, 2, "32-bit"), (16, 2, "16-bit"), (32, 3, "real")],
)
def test_8_bit_values_in_a_wider_type_are_what_they_were_and_said(
    bits: int, kind: int, says: str
) -> None:
    pixels, note = decoded(tiff(RAMP, bits, kind))
    np.testing.assert_array_equal(pixels, RAMP)
    assert note.startswith(says)
    assert note.endswith("values from 0 to 255 were taken as 0 to 255")


def test_8_bit_values_in_a_16_bit_png() -> None:
    pixels, note = decoded(encoded(Image.fromarray(RAMP.astype(np.uint16)), "PNG"))
    np.testing.assert_array_equal(pixels, RAMP)
    assert note == "16-bit values from 0 to 255 were taken as 0 to 255"


@pytest.mark.parametrize(
    ("values", "bits", "kind", "white", "note"),
    [
        (RAMP * 257, 16, 1, 65535, ""),
        (RAMP * 16, 16, 1, 65535, "the brightest value is 4080 of 65,535: dark as 16 bits, which"),
        (RAMP * 257, 32, 1, 65535, "32-bit values from 0 to 65535 were taken as 0 to 65,535"),
        (RAMP * 128, 16, 2, 32767, "signed 16-bit values from 0 to 32640 were taken as 0 to 32,7"),
        (RAMP / 255, 32, 3, 1, ""),
        (RAMP / 256, 32, 3, 1, ""),
        (RAMP / 255 * 1.0005, 32, 3, 1, ""),  # what resampling adds
        (RAMP * 0, 16, 1, 65535, ""),
        (RAMP * 0, 32, 2, 65535, ""),
        (RAMP * 0, 32, 3, 1, ""),
    ],
)
def test_ranges(values: np.ndarray, bits: int, kind: int, white: int, note: str) -> None:
    pixels, said = decoded(tiff(values, bits, kind))
    np.testing.assert_array_equal(pixels, np.rint(values * (255 / white)).clip(0, 255))
    assert said.startswith(note)
    assert bool(said) == bool(note)


@pytest.mark.parametrize(
    ("values", "bits", "kind", "why"),
    [
        (RAMP - 10, 16, 2, "pixel values run from -10 to 245, not from 0"),
        (RAMP - 10, 32, 2, "pixel values run from -10 to 245, not from 0"),
        (RAMP * 1000, 32, 1, "pixel values run from 0 to 255000, not from 0 to 65535"),
        (RAMP * 4, 32, 3, "pixel values run from 0 to 1020, not from 0 to 1"),
        (RAMP / 255 * 1.5, 32, 3, r"pixel values run from 0 to 1\.5, not from 0 to 1"),
        (RAMP / 255 - 0.5, 32, 3, r"pixel values run from -0\.5 to 0\.5, not from 0 to 1"),
        (np.where(RAMP > 9, np.nan, 0), 32, 3, "pixel values run from nan to nan"),
        (np.where(RAMP > 9, np.inf, 0), 32, 3, "pixel values run from 0 to inf"),
    ],
)
def test_values_that_fit_no_range_are_refused(
    values: np.ndarray, bits: int, kind: int, why: str
) -> None:
    with pytest.raises(BrokenImageError, match=rf"^a\.tif: {why}.*save it with 8 or 16 bits"):
        decode_image(tiff(values, bits, kind), "a.tif")


@pytest.mark.parametrize(
    ("bits", "kind", "channels"), [(64, 3, 1), (64, 1, 1), (32, 1, 3), (32, 3, 3), (16, 2, 3)]
)
def test_types_of_pixels_that_pillow_lacks_are_refused(bits: int, kind: int, channels: int) -> None:
    values = np.stack([RAMP] * channels, -1).squeeze()
    with pytest.raises(BrokenImageError, match=r"^a\.tif: a damaged TIFF, or one of a type of pix"):
        decode_image(tiff(values, bits, kind, photometric=2 if channels == 3 else 1), "a.tif")


@pytest.mark.parametrize(("bits", "scale"), [(8, 1), (16, 257), (16, 1)])
def test_white_is_zero(bits: int, scale: int) -> None:
    pixels, _ = decoded(tiff(RAMP * scale, bits, photometric=0))
    np.testing.assert_array_equal(pixels, 255 - RAMP)


def test_a_pgm_has_a_range_of_its_own() -> None:
    values = (RAMP * 3).astype(">u2")
    pixels, note = decoded(b"P5\n16 16\n1000\n" + values.tobytes())
    assert np.abs(pixels - RAMP * 3 * 255 / 1000).max() <= 0.51
    assert note == ""
    pixels, note = decoded(b"P5\n16 16\n65535\n" + RAMP.astype(">u2").tobytes())
    assert pixels.max() == 1
    assert note.startswith("the brightest value is 255 of 65,535")


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("format", ["tiff", "png"])
def test_8_bit_colour_in_16_bits(format: str, channels: int) -> None:
    values = np.stack([RAMP, 255 - RAMP, RAMP // 2, RAMP * 0 + 65535][:channels], -1)

    def file(of: np.ndarray) -> bytes:
        if format == "tiff":
            return tiff(of, 16, photometric=2)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in of)
        return _png(16, 16, bit_depth=16, colour={3: 2, 4: 6}[channels], rows=rows)

    pixels, note = decoded(file(values))
    np.testing.assert_array_equal(pixels, values[..., :3])
    assert note.endswith("brighter than 255 of 65,535 was taken as 0 to 255")
    values[..., :3] *= 257
    pixels, note = decoded(file(values))
    np.testing.assert_array_equal(pixels, values[..., :3] / 257)
    assert note == ""
    values[..., :3] = 0
    pixels, note = decoded(file(values))
    assert not pixels.any()
    assert note == ""


def test_compressed_16_bit_colour() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (16, 16, 3))
    for scale in (1, 257):
        pixels, note = decoded(tiff(values * scale, 16, photometric=2, packed=True))
        np.testing.assert_array_equal(pixels, values)
        assert bool(note) == (scale == 1)


@pytest.mark.parametrize(
    ("format", "note"),
    [
        ("TIFF", "the first of 3 pages was taken"),
        ("GIF", "the first frame of an animation was taken"),
        ("PNG", "the first frame of an animation was taken"),
        ("WEBP", "the first frame of an animation was taken"),
    ],
)
def test_the_first_of_several_is_said(format: str, note: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    image = decode_image(data, "many")
    assert image.convert("RGB").getpixel((4, 4)) == (255, 0, 0)
    assert decoding_note(image) == note
    single = decode_image(encoded(frames[0], format), "one")
    assert decoding_note(single) == ""


def _written_by_pillow() -> dict[str, bytes]:
    """8-bit images of every mode in every format that can hold it."""
    found = {}
    for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"):
        for format in ("PNG", "TIFF", "JPEG", "WEBP", "BMP", "GIF"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                image = Image.new("RGBA", (8, 8), (200, 90, 10, 128)).convert(mode)
                found[f"{mode} {format}"] = encoded(image, format)
    assert len(found) >= 40
    return found


@pytest.mark.parametrize("data", _written_by_pillow().values(), ids=_written_by_pillow())
def test_of_8_bit_images_nothing_is_assumed(data: bytes) -> None:
    assert decoding_note(decode_image(data, "a")) == ""


def test_a_file_cannot_claim_a_note() -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key in ("note", "ood_core", "('ood_core', 'note')"):
        info.add_text(key, "trust me")
    data = encoded(Image.new("L", (4, 4)), "PNG", pnginfo=info)
    assert decoding_note(decode_image(data, "a.png")) == ""


def test_uploads_carry_the_note(tmp_path: Path) -> None:
    (upload, plain) = read_uploads(
        [("a.tif", tiff(RAMP, 32)), ("b.png", encoded(Image.new("L", (4, 4), 9), "PNG"))]
    )
    assert upload.note == "32-bit values from 0 to 255 were taken as 0 to 255"
    assert plain.note == ""


COLOURS = np.stack([RAMP, 255 - RAMP, RAMP // 2], -1)


@pytest.mark.parametrize("channels", [3, 4])
def test_channels_of_16_bits_that_lie_apart(channels: int) -> None:
    stored = np.dstack([COLOURS, np.full_like(RAMP, 255)])[..., :channels] * 257
    pixels, note = decoded(tiff(stored, 16, photometric=2, apart=True))
    np.testing.assert_array_equal(pixels, COLOURS)
    assert note == ""


def test_8_bit_colour_in_16_bits_that_lie_apart_is_said_to_be_black() -> None:
    pixels, note = decoded(tiff(COLOURS, 16, photometric=2, apart=True))
    assert pixels.max() == 0
    assert note.endswith("nothing is brighter than 255 of 65,535: black in 8 bits")


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize(("bits", "kind", "full"), [(8, 1, 255), (16, 1, 65535), (32, 3, 1)])
def test_one_channel_lies_the_same_way_in_either_layout(
    bits: int, kind: int, full: int, photometric: int
) -> None:
    stored = RAMP / 255 * full
    together, apart = (
        decoded(tiff(stored, bits, kind, photometric, apart=apart)) for apart in (False, True)
    )
    np.testing.assert_array_equal(apart[0], together[0])
    assert apart[1] == together[1]


def test_signed_8_bits() -> None:
    pixels, note = decoded(tiff(RAMP // 2, 8, 2))
    np.testing.assert_array_equal(pixels, np.rint(RAMP // 2 * (255 / 127)))
    assert note == "signed 8-bit values from 0 to 127 were taken as 0 to 127"
    with pytest.raises(BrokenImageError, match="pixel values run from -128 to 127, not from 0 to"):
        decode_image(tiff(RAMP - 128, 8, 2), "a.tif")


def test_unsigned_32_bits_have_no_sign() -> None:
    with pytest.raises(BrokenImageError, match=r"pixel values run from 0 to 4\.29497e\+09, not"):
        decode_image(tiff(RAMP * 16843009, 32), "a.tif")


def test_a_palette_of_8_bit_values() -> None:
    palette = (*range(256), *range(255, -1, -1), *(i // 2 for i in range(256)))
    pixels, _ = decoded(tiff(RAMP, 8, photometric=3, more={320: palette}))
    np.testing.assert_array_equal(pixels, COLOURS)


def test_transparency_multiplied_into_grey() -> None:
    stored = np.dstack([RAMP // 2, np.full_like(RAMP, 128)])
    pixels, _ = decoded(tiff(stored, 8, more={338: 1}))
    straight = np.rint(RAMP // 2 * 255 / 128)
    assert np.abs(pixels[..., 0] - (straight * 128 + 255 * 127) / 255).max() <= 1.5


def test_the_value_of_a_16_bit_png_that_is_transparent_is_white() -> None:
    values = (RAMP * 257).astype(">u2").reshape(16, 16)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header, clear = pack(">IIBBBBB", 16, 16, 16, 0, 0, 0, 0), pack(">H", 257 * 9)
    chunks = [(b"IHDR", header), (b"tRNS", clear), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    pixels, _ = decoded(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            pack(">I", len(body)) + kind + body + pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )
    )
    np.testing.assert_array_equal(pixels, np.where(RAMP == 9, 255, RAMP))


def fits(values: np.ndarray, bits: int, **more: float) -> bytes:
    """A FITS image; values ([planes, ]height, width)."""
    axes = {f"NAXIS{i}": size for i, size in enumerate(values.shape[::-1], 1)}
    cards = {"SIMPLE": "T", "BITPIX": bits, "NAXIS": values.ndim, **axes, **more}
    lines = [f"{key:<8}= {value:>20}".ljust(80) for key, value in cards.items()]
    header = "".join([*lines, "END".ljust(80)])
    kind = f">f{-bits // 8}" if bits < 0 else f">i{bits // 8}"
    body = values[..., ::-1, :].astype(kind).tobytes()
    return header.ljust(2880).encode() + body.ljust(-(-len(body) // 2880) * 2880, b"\0")


@pytest.mark.parametrize(
    ("stored", "bits", "more", "note"),
    [
        (RAMP * 257 - 32768, 16, {"BZERO": 32768, "BSCALE": 1}, ""),
        (RAMP * 257 - 32768, 16, {"BZERO": "3.2768D+04"}, ""),
        (np.rint(RAMP * 32767 / 255), 16, {}, "signed 16-bit values from 0 to 32767 were taken"),
        (RAMP * 257, 32, {}, "32-bit values from 0 to 65535 were taken as 0 to 65,535"),
        (RAMP * 257 - 2**31, 32, {"BZERO": 2**31}, "32-bit values from 0 to 65535 were taken"),
        (RAMP / 255, -32, {}, ""),
    ],
)
def test_fits(stored: np.ndarray, bits: int, more: dict[str, float], note: str) -> None:
    pixels, said = decoded(fits(stored, bits, **more))
    np.testing.assert_array_equal(pixels, RAMP)
    assert said.startswith(note)
    assert bool(said) == bool(note)


def test_fits_below_zero_and_cubes() -> None:
    with pytest.raises(BrokenImageError, match="pixel values run from -5 to 250, not from 0 to"):
        decode_image(fits(RAMP - 5, 16), "a.fits")
    pixels, note = decoded(fits(np.stack([RAMP, RAMP * 0, RAMP * 0]) * 128, 16))
    assert pixels.max() > 0
    assert note.startswith("the first of 3 planes was taken; signed 16-bit values")

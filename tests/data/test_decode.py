"""Every awkward image gives a right answer or one line that names the file."""

from __future__ import annotations

import warnings
import zlib
from io import BytesIO
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from PIL import Image

from ood_core.data import BrokenImageError, decode_image
from ood_core.data import decode as decode_module


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, format=format, **options)
    return out.getvalue()


def gradient(height: int = 32, width: int = 48) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 7 % 256, columns * 5 % 256, (rows + columns) % 256], -1).astype(
        np.uint8
    )


def test_a_plain_file_is_read_as_pillow_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    Image.fromarray(gradient()).save(path)
    np.testing.assert_array_equal(np.asarray(decode_image(path)), gradient())


def test_grey_stays_grey() -> None:
    image = decode_image(encoded(Image.new("L", (3, 2), 77), "PNG"), "grey.png")
    assert (image.mode, image.getpixel((0, 0))) == ("L", 77)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("empty.png", b"", r"the file is empty \(0 bytes\)"),
        ("text.png", b"this is a shopping list, not a picture", "not an image in a known format"),
        ("noise.jpg", b"\xff\xd8\xff" + bytes(range(200)), "the image is damaged"),
    ],
)
def test_what_is_no_image_is_named_in_one_line(name: str, data: bytes, why: str) -> None:
    with pytest.raises(BrokenImageError, match=f"^{name}: {why}") as caught:
        decode_image(data, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC photograph, .*; save it as PNG or JPEG"),
        (b"\xff\n\xfa\x7f" + bytes(40), "a JPEG XL image"),
        (
            b"8BPS\0\1" + bytes(6) + pack(">HIIHH", 3, 4, 4, 16, 3) + bytes(99),
            "a damaged PSD, or one of",
        ),
        (b"PK\x03\x04" + bytes(40), "an archive, not an image; unpack it"),
        (b"<!DOCTYPE html><html>", "a web page or other text; download the image itself"),
        (b'<?xml version="1.0"?>\n<svg xmlns="">', "an SVG drawing"),
        (b"%PDF-1.7", "a PDF document"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer, .*; run git lfs pull"),
        (bytes(400), "not an image in a known format; save it as PNG or JPEG"),
    ],
    ids=lambda part: part[:12] if isinstance(part, str) else "",
)
def test_what_is_brought_instead_of_an_image_is_named(data: bytes, why: str) -> None:
    with pytest.raises(BrokenImageError, match=f"^a.jpg: {why}"):
        decode_image(data, "a.jpg")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_file_cut_short_is_an_error_not_a_half_grey_image(format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), format)
    with pytest.raises(BrokenImageError, match=r"cut\.img: "):
        decode_image(data[: int(len(data) * share)], "cut.img")


def test_flipped_bytes_never_raise_anything_else() -> None:
    rng = np.random.default_rng(1)
    for format in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
        data = np.frombuffer(encoded(Image.fromarray(gradient()), format), np.uint8)
        for _ in range(25):
            broken = data.copy()
            where = rng.integers(0, len(data), 8)
            broken[where] = rng.integers(0, 256, 8)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    image = decode_image(broken.tobytes(), "flipped")
                except BrokenImageError as error:
                    message = str(error)
                else:
                    message = f"flipped: {image.mode}"
            assert message.startswith("flipped: ")


def test_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(BrokenImageError, match=r"gone\.png: cannot be read \(No such file"):
        decode_image(tmp_path / "gone.png")


def test_a_path_that_no_file_can_have() -> None:
    with pytest.raises(BrokenImageError, match=r"a\\x00b\.png: cannot be read \(embedded"):
        decode_image(Path("a\0b.png"))


def test_a_file_too_large_for_an_image_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "film.png").write_bytes(b"x" * 100)
    monkeypatch.setattr(decode_module, "_MAX_FILE_BYTES", 99)
    with pytest.raises(BrokenImageError, match=r"^[^:]*film\.png: 100 bytes is too large"):
        decode_image(tmp_path / "film.png")


def test_folder_named_like_an_image(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BrokenImageError, match=r"folder\.png: cannot be read"):
        decode_image(tmp_path / "folder.png")


def test_first_frame_of_an_animated_gif() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)
    image = decode_image(data, "moving.gif")
    assert image.mode == "RGB"
    assert image.getpixel((4, 4)) == (255, 0, 0)


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    image = decode_image(encoded(Image.fromarray(values), "PNG"), "deep.png")
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), np.rint(values / 257).astype(np.uint8))


def test_16_bit_rgb_png_keeps_its_high_bytes() -> None:
    values = (np.arange(4 * 4 * 3, dtype=np.uint16) * 1300).reshape(4, 4, 3)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    image = decode_image(_png(4, 4, bit_depth=16, colour=2, rows=rows), "deep-rgb.png")
    assert np.abs(np.asarray(image).astype(int) - values / 257).max() <= 1


def test_16_bit_tiff_and_pgm() -> None:
    values = np.array([[0, 1000], [40000, 65535]], np.uint16)
    expected = np.rint(values / 257)
    tiff = decode_image(encoded(Image.fromarray(values), "TIFF"), "deep.tiff")
    np.testing.assert_array_equal(np.asarray(tiff), expected)
    pgm = b"P5\n2 2\n65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(np.asarray(decode_image(pgm, "deep.pgm")), expected)


def test_float_grey_between_0_and_1_is_scaled_and_others_are_refused() -> None:
    share = np.array([[0.0, 0.5], [0.25, 1.0]], np.float32)
    image = decode_image(encoded(Image.fromarray(share), "TIFF"), "share.tiff")
    np.testing.assert_array_equal(np.asarray(image), [[0, 128], [64, 255]])
    data = encoded(Image.fromarray(share * 900), "TIFF")
    with pytest.raises(BrokenImageError, match=r"^raw\.tiff: pixel values run from 0 to 900"):
        decode_image(data, "raw.tiff")


def test_cmyk_jpeg_has_the_right_colours() -> None:
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = decode_image(encoded(cmyk, "JPEG", quality=95), "print.jpg").getpixel((8, 8))
    assert red > 240
    assert green < 15
    assert blue < 15


def test_palette_and_its_transparency() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 200, 0, 9, 9, 9])
    assert decode_image(encoded(image, "PNG"), "p.png").getpixel((0, 0)) == (0, 200, 0)
    see_through = encoded(image, "PNG", transparency=0)
    assert decode_image(see_through, "p.png").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("RGBA", (0, 0, 0, 128), (127, 127, 127)),
        ("LA", (0, 0), (255, 255, 255)),
    ],
)
def test_alpha_is_laid_over_white(
    mode: str, colour: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    image = decode_image(encoded(Image.new(mode, (2, 2), colour), "PNG"), "alpha.png")
    assert image.getpixel((0, 0)) == expected


def test_one_bit_image() -> None:
    image = decode_image(encoded(Image.new("1", (4, 4), 1), "PNG"), "bits.png")
    assert (image.mode, image.getpixel((1, 1))) == ("L", 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotated_photo_is_upright(orientation: int) -> None:
    upright = np.zeros((40, 24, 3), np.uint8)
    upright[:8, :8] = 255
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(upright)
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode_image(encoded(stored, "PNG", exif=exif), "turned.png")
    np.testing.assert_array_equal(np.asarray(image), upright)


def test_damaged_exif_does_not_matter() -> None:
    data = encoded(Image.new("RGB", (8, 8), "navy"), "JPEG", exif=b"Exif\0\0garbage")
    assert decode_image(data, "exif.jpg").size == (8, 8)


def test_one_pixel() -> None:
    assert decode_image(encoded(Image.new("RGB", (1, 1), "teal"), "PNG"), "dot.png").size == (1, 1)


def test_20000_by_20000_png_is_refused_by_its_header_alone() -> None:
    bomb = _png(20000, 20000, bit_depth=8, colour=2, rows=b"")
    with pytest.raises(BrokenImageError, match=r"^bomb\.png: too large to decode safely"):
        decode_image(bomb, "bomb.png")


def test_between_pillows_warning_and_error_it_is_refused_too() -> None:
    data = _png(10000, 12000, bit_depth=8, colour=0, rows=b"")
    with pytest.raises(BrokenImageError, match="too large to decode safely"):
        decode_image(data, "wide.png")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(BrokenImageError, match=r"12,000 pixels is too large to decode"):
            decode_image(data, "wide.png")


def test_20000_by_20000_jpeg_is_read_at_an_eighth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 1_000_000)
    large = Image.fromarray(gradient(125, 125)).resize((2000, 2000), Image.Resampling.BILINEAR)
    monkeypatch.setattr(decode_module, "_REDUCED_SIDE", 500)
    image = decode_image(encoded(large, "JPEG", quality=95), "huge.jpg")
    assert image.size == (500, 500)
    expected = np.asarray(large.resize((500, 500), Image.Resampling.BOX)).astype(int)
    assert np.abs(np.asarray(image).astype(int) - expected).mean() < 2


@pytest.mark.slow
def test_a_real_20000_by_20000_jpeg_gives_a_right_answer_in_little_memory() -> None:
    data = encoded(Image.new("L", (20000, 20000), 90), "JPEG", quality=50)
    image = decode_image(data, "huge.jpg")
    assert image.size == (2500, 2500)
    assert image.getpixel((1000, 1000)) == 90


def test_a_large_progressive_jpeg_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 1000)
    data = encoded(Image.fromarray(gradient()), "JPEG", progressive=True)
    with pytest.raises(BrokenImageError, match=r"^slow\.jpg: 48 x 32 pixels is too large"):
        decode_image(data, "slow.jpg")


def test_previews_of_jpegs_are_read_reduced_but_never_below_what_was_asked() -> None:
    data = encoded(Image.fromarray(gradient(400, 800)), "JPEG")
    assert decode_image(data, "a.jpg", reduce_to=100).size == (200, 100)
    assert decode_image(data, "a.jpg").size == (800, 400)


def _png(width: int, height: int, *, bit_depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG made by hand: what Pillow does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return pack(">I", len(body)) + kind + body + pack(">I", zlib.crc32(kind + body))

    header = pack(">IIBBBBB", width, height, bit_depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body

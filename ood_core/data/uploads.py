"""Images that a visitor uploads: files and zips, each image decoded or with its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, islice
from pathlib import Path

from PIL import Image

from ood_core.data.archive import open_zip, read_member, zip_members
from ood_core.data.decode import decode_image, decoding_note
from ood_core.data.files import FileSet
from ood_core.data.image_set import BrokenImageError
from ood_core.errors import DataError
from ood_core.experiments.listing import (
    ARCHIVE,
    LeftOut,
    Listing,
    left_out_text,
    list_folder,
    why_no_image,
)
from ood_core.runtime.names import shown

__all__ = ["MAX_UPLOADED", "Upload", "folder_identity", "read_folder", "read_uploads"]

MAX_UPLOADED = 1000
"""Most images taken from one zip: each is held in memory. Larger sets belong in a folder."""

MAX_PIXELS_HELD = 1_500_000_000
"""Most pixels of all images of one reading, 3 bytes each: 125 photographs of 12 megapixels."""


@dataclass(frozen=True)
class Upload:
    """One uploaded image: either `image` or `error` is set.

    Parameters
    ----------
    name : file name, for a zip's member "archive.zip/member".
    image : decoded image, or None.
    error : one line that names the file, or None.
    """

    name: str
    image: Image.Image | None = None
    error: str | None = None

    @property
    def note(self) -> str:
        """What was assumed of the image's pixels; "" where nothing."""
        return "" if self.image is None else decoding_note(self.image)


def read_uploads(files: Iterable[tuple[str, bytes]]) -> list[Upload]:
    """Decode uploaded files, given as (name, bytes); a zip stands for the images in it.

    A broken file never stops the others: it is returned with the reason.
    """
    return _held(chain.from_iterable(_read(name, data) for name, data in files))


def read_folder(folder: str) -> list[Upload]:
    """Decode the images below a folder of this machine, in order of name, `MAX_UPLOADED` at most.

    Raises
    ------
    DataError
        When there is no such folder, or it holds no images.
    """
    root, listing = _images_below(folder)
    images = listing.images
    found = _held(_from_file(root / image, shown(image)) for image in images[:MAX_UPLOADED])
    found += _lost(folder, listing.left_out)
    if len(images) > MAX_UPLOADED:
        rest = len(images) - MAX_UPLOADED
        text = f"{folder}: only the first {MAX_UPLOADED:,} images were read, {rest:,} were not."
        found.append(Upload(folder, error=text))
    return found


def folder_identity(folder: str) -> str:
    """Hash of path, size and time of last change of each image that `read_folder` reads, of how
    many there are, and of what lies beside them.

    Raises
    ------
    DataError
        As `read_folder`.
    """
    root, listing = _images_below(folder)
    images = FileSet("uploads", root, listing.images[:MAX_UPLOADED])
    beside = hashlib.sha256(repr(listing.left_out).encode()).hexdigest()
    return f"{images.identity} {len(listing.images)} {beside}"


def _images_below(folder: str) -> tuple[Path, Listing]:
    try:
        root = Path(folder).expanduser()
        there = root.is_dir()
    except (OSError, RuntimeError, ValueError):  # too long, of no such user, with a null byte
        there = False
    if not there:
        raise DataError(
            f"{folder[:200]}: there is no such folder on the machine that runs OOD Lens."
        )
    listing = list_folder(root)
    if not listing.images:
        beside = left_out_text(listing.left_out)
        text = f"{folder}: holds no images (.png, .jpg, .webp, .bmp, .gif, .tif …). {beside}"
        raise DataError(text.rstrip())
    return root, listing


def _held(uploads: Iterator[Upload]) -> list[Upload]:
    """The uploads as far as memory should hold them, and a word where there are more."""
    found: list[Upload] = []
    pixels = 0
    for upload in uploads:
        width, height = upload.image.size if upload.image is not None else (0, 0)
        if pixels + width * height > MAX_PIXELS_HELD and pixels:
            text = (
                f"{upload.name}: this image and those after it were not read: more than "
                f"{MAX_PIXELS_HELD / 1e6:,.0f} megapixels would be held in memory. Take fewer at "
                "once, or run python -m ood_core score, which takes any number."
            )
            return [*found, Upload(upload.name, error=text)]
        pixels += width * height
        found.append(upload)
    return found


def _lost(name: str, left_out: Iterable[LeftOut]) -> Iterator[Upload]:
    """What may have been an image and is none, with the reason; other files are not missed."""
    yield from (Upload(shown(out.path), error=f"{name}/{out}") for out in left_out if out.lost)


def _from_file(path: Path, name: str) -> Upload:
    try:
        return Upload(name, decode_image(path))
    except BrokenImageError as error:
        return Upload(name, error=str(error))


def _read(name: str, data: bytes) -> Iterator[Upload]:
    name = shown(name)
    reason, _ = why_no_image(name)
    if name.lower().endswith(".zip"):
        yield from _from_zip(name, data)
    elif reason == ARCHIVE:
        yield Upload(name, error=f"{name}: of archives only .zip is read; pack it as one.")
    else:
        yield _decoded(name, data)


def _from_zip(name: str, data: bytes) -> Iterator[Upload]:
    try:
        with open_zip(BytesIO(data), name) as archive:
            members, left_out = zip_members(archive)
            if not members:
                beside = left_out_text(left_out)
                yield Upload(name, error=f"{name}: holds no images. {beside}".rstrip())
            for path, info in islice(members.items(), MAX_UPLOADED):
                member = shown(f"{name}/{path}")
                try:
                    yield _decoded(member, read_member(archive, info, member))
                except BrokenImageError as error:
                    yield Upload(member, error=str(error))
            yield from _lost(name, left_out)
    except DataError as error:
        yield Upload(name, error=str(error))
        return
    if len(members) > MAX_UPLOADED:
        rest = len(members) - MAX_UPLOADED
        yield Upload(
            name,
            error=f"{name}: only the first {MAX_UPLOADED:,} images were read, {rest:,} were not; "
            "make a data set of the folder for more.",
        )


def _decoded(name: str, data: bytes) -> Upload:
    try:
        return Upload(name, decode_image(data, name))
    except BrokenImageError as error:
        return Upload(name, error=str(error))

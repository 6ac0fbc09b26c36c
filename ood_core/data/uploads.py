"""Images that a visitor uploads: files and zips, each image decoded or with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from ood_core.data.archive import image_members, open_zip, read_member
from ood_core.data.decode import decode_image
from ood_core.data.image_set import BrokenImageError
from ood_core.errors import DataError

__all__ = ["MAX_UPLOADED", "Upload", "read_uploads"]

MAX_UPLOADED = 1000
"""Most images taken from one zip: each is held in memory. Larger sets belong in a folder."""


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


def read_uploads(files: Iterable[tuple[str, bytes]]) -> list[Upload]:
    """Decode uploaded files, given as (name, bytes); a zip stands for the images in it.

    A broken file never stops the others: it is returned with the reason.
    """
    return [upload for name, data in files for upload in _read(name, data)]


def _read(name: str, data: bytes) -> Iterator[Upload]:
    if name.lower().endswith(".zip"):
        yield from _from_zip(name, data)
    else:
        yield _decoded(name, data)


def _from_zip(name: str, data: bytes) -> Iterator[Upload]:
    try:
        with open_zip(BytesIO(data), name) as archive:
            members = image_members(archive)
            if not members:
                yield Upload(name, error=f"{name}: holds no images.")
            for member in members[:MAX_UPLOADED]:
                shown = f"{name}/{member}"
                try:
                    yield _decoded(shown, read_member(archive, member, shown))
                except BrokenImageError as error:
                    yield Upload(shown, error=str(error))
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

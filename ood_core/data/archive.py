"""Image sets in a zip file, read without unpacking it."""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from ood_core.data.image_set import BrokenImageError
from ood_core.data.labelled_images import ListedSet
from ood_core.data.numbering import Numbering
from ood_core.errors import DataError
from ood_core.experiments.sources import is_image_name

__all__ = ["MAX_MEMBER_BYTES", "ZipSet", "image_members", "open_zip", "read_member"]

MAX_MEMBER_BYTES = 500_000_000
"""Largest file unpacked from an archive: a small archive may claim to hold an endless one."""


class ZipSet(ListedSet):
    """Images in a zip file.

    Parameters
    ----------
    file : the zip file.
    ids : names of its members.
    name, labels, class_names, numbering : as in `ListedSet`.
    """

    def __init__(
        self,
        name: str,
        file: Path,
        ids: Sequence[str],
        labels: np.ndarray | None = None,
        class_names: tuple[str, ...] | None = None,
        numbering: Numbering | None = None,
    ) -> None:
        super().__init__(name, ids, labels, class_names, numbering)
        self.file = file
        self._lock = threading.Lock()

    @cached_property
    def identity(self) -> str:
        """Hash of each member's name, size and checksum, and of the labels.

        Raises
        ------
        DataError
            When the archive is gone, or became another one since its names were read.
        """
        digest = hashlib.sha256()
        for image_id in self._ids:
            info = _member(self._archive, image_id, self._shown_name(image_id))
            digest.update(os.fsencode(f"{image_id}\0{info.file_size}\0{info.CRC}\n"))
        digest.update(self._label_digest())
        return digest.hexdigest()

    def _bytes(self, index: int) -> bytes:
        return read_member(self._archive, self._ids[index], self._shown(index))

    def _shown(self, index: int) -> str:
        return self._shown_name(self._ids[index])

    def _shown_name(self, image_id: str) -> str:
        return f"{self.file.name}/{image_id}"

    @property
    def _archive(self) -> zipfile.ZipFile:
        with self._lock:
            if "_opened" not in self.__dict__:
                self._opened = open_zip(self.file, self.file.name)
            return self._opened

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_opened")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def open_zip(file: Path | IO[bytes], name: str) -> zipfile.ZipFile:
    """Open a zip file, or say in one line why that fails."""
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise DataError(f"{name}: not a zip file, or damaged ({error}).") from error
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror or error}).") from error


def image_members(archive: zipfile.ZipFile) -> list[str]:
    """Names of all images in the archive, sorted; hidden files and folders left out."""
    return sorted(_visible(archive.namelist()))


def _visible(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        parts = name.split("/")
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        if not hidden and is_image_name(os.path.basename(name)):
            yield name


def read_member(archive: zipfile.ZipFile, member: str, name: str) -> bytes:
    """Bytes of one file in the archive; `BrokenImageError` with `name` when that fails."""
    info = _member(archive, member, name)
    if info.file_size > MAX_MEMBER_BYTES:
        raise BrokenImageError(f"{name}: {info.file_size:,} bytes unpacked is too large.")
    if info.flag_bits & 1:
        raise BrokenImageError(f"{name}: the archive is encrypted; unpack it first.")
    try:
        return archive.read(info)
    except Exception as error:
        # zipfile, zlib, lzma and the file system each raise their own.
        raise BrokenImageError(f"{name}: damaged in the archive ({error}).") from error


def _member(archive: zipfile.ZipFile, member: str, name: str) -> zipfile.ZipInfo:
    try:
        return archive.getinfo(member)
    except KeyError as error:
        raise BrokenImageError(
            f"{name}: no longer in the archive, which was replaced while it was read. Try again."
        ) from error

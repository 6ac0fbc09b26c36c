"""Image sets in a zip file, read without unpacking it."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from ood_core.data.image_set import BrokenImageError
from ood_core.data.labelled_images import ListedSet
from ood_core.data.numbering import Numbering
from ood_core.errors import DataError
from ood_core.experiments.listing import ARCHIVE, HIDDEN, LeftOut, what_instead, why_no_image
from ood_core.experiments.sources import is_hidden, is_image_name
from ood_core.runtime.names import shown

__all__ = ["MAX_MEMBER_BYTES", "ZipSet", "member_path", "open_zip", "read_member", "zip_members"]

MAX_MEMBER_BYTES = 500_000_000
"""Largest file unpacked from an archive: a small archive may claim to hold an endless one."""

_UTF8 = 1 << 11
"""Flag of a member whose name is UTF-8."""
_UNICODE_PATH = 0x7075
"""Extra field of a member whose name the stored one could not hold."""
_UNIX = 3
_PIECE = 64
"""Bytes of a bzip2 or LZMA stream read at once: 64 of bzip2 can stand for 100 MB."""


class ZipSet(ListedSet):
    """Images in a zip file.

    Parameters
    ----------
    file : the zip file.
    ids : paths of its members, as `zip_members` has them.
    name, labels, numbering, left_out : as in `ListedSet`.
    """

    def __init__(
        self,
        name: str,
        file: Path,
        ids: Sequence[str],
        labels: np.ndarray | None = None,
        numbering: Numbering | None = None,
        left_out: tuple[LeftOut, ...] = (),
    ) -> None:
        super().__init__(name, ids, labels, numbering, left_out)
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
        members = self._open()[1]
        for image_id in self._ids:
            info = _member(members, image_id, self._shown_name(image_id))
            digest.update(os.fsencode(f"{image_id}\0{info.file_size}\0{info.CRC}\n"))
        digest.update(self._label_digest())
        return digest.hexdigest()

    def _bytes(self, index: int) -> bytes:
        archive, members = self._open()
        info = _member(members, self._ids[index], self._shown(index))
        return read_member(archive, info, self._shown(index))

    def _shown(self, index: int) -> str:
        return self._shown_name(self._ids[index])

    def _shown_name(self, image_id: str) -> str:
        return shown(f"{self.file.name}/{image_id}")

    def _open(self) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
        """The archive and its images, opened once."""
        with self._lock:
            if "_opened" not in self.__dict__:
                archive = open_zip(self.file, self.file.name)
                self._opened = archive, zip_members(archive)[0]
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
    except Exception as error:
        # A damaged list of members raises what its decoding raises.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{name}: the zip file is damaged ({reason}).") from error


def zip_members(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], list[LeftOut]]:
    """Images of an archive by path, sorted, and what is left out, as `list_folder` has it.

    Paths are those to which the archive would be unpacked, see `member_path`. Of two members
    with one path the last counts, as it does when they are unpacked.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    left_out: list[LeftOut] = []
    for info in archive.infolist():
        path = member_path(info)
        if not path or info.is_dir() or path.endswith("/"):
            continue
        if path in found:
            left_out.append(LeftOut(path, "earlier member of the same path"))
        found[path] = info
    images = {}
    for path in sorted(found):
        reason, lost = _why_left_out(path, found[path])
        if reason:
            left_out.append(LeftOut(path, reason, lost))
        else:
            images[path] = found[path]
    return images, sorted(left_out)


def member_path(info: zipfile.ZipInfo) -> str:
    """Path of a member relative to the folder it would be unpacked to; "" for none.

    Backslashes separate as slashes do, `.`, `..`, a drive and a leading slash say nothing. A name
    that is not marked as UTF-8 is the one in the member's Unicode path field, else read as UTF-8
    where it is valid, else as code page 437, as the zip format has it. There a backslash after
    another byte may be half a Japanese character; in a name that has slashes too it is left alone.
    """
    name, marked = info.orig_filename.partition("\0")[0], bool(info.flag_bits & _UTF8)
    if not marked and (unicode_name := _unicode_path(info)):
        name, marked = unicode_name, True
    elif not marked and not name.isascii():
        with suppress(UnicodeError):
            name, marked = name.encode("cp437").decode("utf-8"), True
    if marked or "/" not in name:
        name = name.replace("\\", "/")
    else:
        name = re.sub(r"(?<![^\x00-\x7f])\\", "/", name)
    folder = name.endswith("/")
    name = re.sub(r"^[A-Za-z]:(?=/)", "", name)
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts) + ("/" if folder and parts else "")


def _unicode_path(info: zipfile.ZipInfo) -> str:
    """The name in a member's Unicode path field, where it belongs to the stored name; else ""."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(field) > 5:
            with suppress(UnicodeError):
                stored = info.orig_filename.encode("cp437")
                if field[1:5] == struct.pack("<I", zlib.crc32(stored)):
                    return field[5:].decode("utf-8").partition("\0")[0]
    return ""


def _why_left_out(path: str, info: zipfile.ZipInfo) -> tuple[str, bool]:
    """Why a member is no image, and whether one may be lost; ("", False) for an image."""
    if any(is_hidden(part) for part in path.split("/")):
        return HIDDEN, False
    name = path.rpartition("/")[2]
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return what_instead(mode), is_image_name(name)
    if is_image_name(name):
        return "", False
    reason, lost = why_no_image(name)
    return reason, lost or reason == ARCHIVE  # the images may all lie in archives of the archive


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    """Bytes of one file in the archive; `BrokenImageError` with `name` when that fails."""
    if info.file_size > MAX_MEMBER_BYTES:
        raise BrokenImageError(f"{name}: {info.file_size:,} bytes unpacked is too large.")
    if info.flag_bits & 1:
        raise BrokenImageError(f"{name}: the archive is encrypted; unpack it first.")
    try:
        with archive.open(info) as member:
            return b"".join(_pieces(member, info))
    except NotImplementedError as error:
        raise BrokenImageError(
            f"{name}: packed in a way that cannot be read here ({error}); pack the archive again "
            "with Deflate."
        ) from error
    except Exception as error:
        # zipfile, zlib, lzma and the file system each raise their own.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BrokenImageError(f"{name}: damaged in the archive ({reason}).") from error


def _pieces(member: IO[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes, never many more than the archive declares, whatever it really holds.

    Read whole, a stream is unpacked to its end before it is cut. Stored and deflated ones stop
    at what is asked for; of others, what is unpacked at once is bounded by what is read.
    """
    size = info.file_size + 1
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        member.MIN_READ_SIZE = size = _PIECE  # type: ignore[attr-defined]
    while piece := member.read(size):
        yield piece


def _member(members: Mapping[str, zipfile.ZipInfo], image_id: str, name: str) -> zipfile.ZipInfo:
    try:
        return members[image_id]
    except KeyError as error:
        raise BrokenImageError(
            f"{name}: no longer in the archive, which was replaced while it was read. Try again."
        ) from error

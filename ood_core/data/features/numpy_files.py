"""NumPy's files: `.npz` archives, a single `.npy`, and folders with one `.npy` an array.

Rows are read where they lie, in plain reads: a memory map would count as memory of the process.
Pickles are never loaded: an array of objects is refused by its header.
"""

from __future__ import annotations

import os
import threading
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from ood_core.data.features.array_file import (
    ArrayFile,
    Column,
    bfloat16,
    kind_of,
    natural_key,
)
from ood_core.errors import DataError

__all__ = ["read_npy", "read_npy_folder", "read_npz"]


def read_npz(path: Path) -> ArrayFile:
    """The arrays of an archive that `np.savez` or `np.savez_compressed` wrote."""
    columns = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if info.is_dir() or name == info.filename:
                raise DataError(
                    f"{str(path)!r} holds {info.filename!r}, which is no array: expected an "
                    "archive as np.savez writes it, of .npy members only."
                )
            if info.flag_bits & 1:
                raise DataError(
                    f"{str(path)!r}: {name!r} is encrypted; save it without a password."
                )
            with archive.open(info) as stream:
                header = _header(stream, path, name)
            if info.compress_type == zipfile.ZIP_STORED:
                start = _data_start(path, info) + header.length
                end = _data_start(path, info) + info.file_size
                columns[name] = _flat(path, name, header, start, end)
            else:
                if header.length + header.nbytes > info.file_size:
                    raise _cut_short(path, name)
                columns[name] = _packed(path, info.filename, name, header)
    return ArrayFile(path, "npz", columns, (path,))


def read_npy(path: Path, name: str = "features") -> ArrayFile:
    """A single array; in a file alone it is the features."""
    return ArrayFile(path, "npy", {name: _of_file(path, name)}, (path,))


def read_npy_folder(path: Path) -> ArrayFile:
    """The arrays of a folder: `NAME.npy` is the array NAME."""
    files = sorted(path.glob("*.npy"), key=lambda file: natural_key(file.stem))
    if not files:
        raise DataError(
            f"the folder {str(path)!r} holds no .npy file: expected features.npy and, where there "
            "are such, logits.npy, labels.npy, ids.npy and further layers."
        )
    columns = {file.stem: _of_file(file, file.stem) for file in files}
    return ArrayFile(path, "folder of npy", columns, tuple(files), ordered=False)


class _Header:
    """What stands before an array's bytes."""

    def __init__(self, shape: tuple[int, ...], fortran: bool, dtype: np.dtype, length: int) -> None:
        self.shape = shape
        self.fortran = fortran and len(shape) > 1
        self.dtype = dtype
        self.length = length

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        total = int(self.dtype.itemsize)
        for size in self.shape:
            total *= size
        return total


def _header(stream: IO[bytes], path: Path, name: str) -> _Header:
    read: dict[tuple[int, int], Callable[[Any], Any]] = {
        (1, 0): npy.read_array_header_1_0,
        (2, 0): npy.read_array_header_2_0,
    }
    try:
        version = npy.read_magic(stream)
        if version not in read:
            raise ValueError(f"version {version[0]}.{version[1]} of the format")
        shape, fortran, dtype = read[version](stream)
    except (ValueError, TypeError, SyntaxError, EOFError) as error:
        raise DataError(
            f"{str(path)!r}: {name!r} is no array that NumPy wrote, or is cut short ({error})."
        ) from error
    if dtype.hasobject:
        numbers = "np.int64" if name in ("ids", "labels") else "np.float32"
        raise DataError(
            f"{str(path)!r}: {name!r} is an array of Python objects, which only unpickling reads, "
            f"and a pickle can run anything: refused. Save {name} as numbers "
            f"(np.asarray({name}, {numbers})) or as text (np.asarray({name}, str))."
        )
    return _Header(shape, fortran, dtype, stream.tell())


def _of_file(path: Path, name: str) -> Column:
    with open(path, "rb") as stream:
        header = _header(stream, path, name)
    return _flat(path, name, header, header.length, path.stat().st_size)


def _flat(path: Path, name: str, header: _Header, start: int, end: int) -> Column:
    """An array whose bytes lie in the file as they are, from `start`, before `end`."""
    if start + header.nbytes > min(end, path.stat().st_size):
        raise _cut_short(path, name)
    read = partial(_strided if header.fortran else _plain, path, header, start)
    return _column(name, header, read)


def _column(name: str, header: _Header, read: Callable[[int, int], np.ndarray]) -> Column:
    two_bytes = header.dtype.kind == "V" and header.dtype.itemsize == 2 and not header.dtype.names
    if two_bytes:  # what NumPy makes of the bfloat16 of JAX and ml_dtypes
        return Column(
            name, header.shape, "bfloat16", "number",
            lambda a, b: bfloat16(np.ascontiguousarray(read(a, b)).view(np.uint16)),
        )  # fmt: skip
    kind = kind_of(header.dtype)
    if header.dtype.kind == "S":
        return Column(name, header.shape, "bytes", kind, lambda a, b: _decoded(read(a, b)))
    return Column(name, header.shape, str(header.dtype), kind, read)


def _decoded(array: np.ndarray) -> np.ndarray:
    return np.char.decode(array, "utf-8", "replace")


def _plain(path: Path, header: _Header, base: int, start: int, stop: int) -> np.ndarray:
    row = header.nbytes // max(1, header.shape[0]) if header.shape else header.dtype.itemsize
    rows = _range(header, start, stop)
    with open(path, "rb") as file:
        file.seek(base + rows.start * row)
        content = file.read(len(rows) * row)
    return _shaped(content, header, len(rows))


def _strided(path: Path, header: _Header, base: int, start: int, stop: int) -> np.ndarray:
    """Rows of an array that is stored column by column: mapped for this read only."""
    mapped = np.memmap(path, header.dtype, "r", base, header.shape, "F")
    return np.array(mapped[start:stop])


def _range(header: _Header, start: int, stop: int) -> range:
    return range(start, min(stop, header.shape[0]) if header.shape else 1)


def _shaped(content: bytes, header: _Header, rows: int) -> np.ndarray:
    shape = (rows, *header.shape[1:]) if header.shape else ()
    return np.frombuffer(content, header.dtype).reshape(shape)


def _packed(path: Path, member: str, name: str, header: _Header) -> Column:
    stream = _Unpacking(path, member, name, header)
    return _column(name, header, stream.read if not header.fortran else stream.read_whole)


class _Unpacking:
    """Rows of a compressed member: read on from where the last ones ended, else from the start."""

    def __init__(self, path: Path, member: str, name: str, header: _Header) -> None:
        self.path, self.member, self.name, self.header = path, member, name, header
        self._prepare()

    def _prepare(self) -> None:
        self._lock = threading.Lock()
        self._stream: IO[bytes] | None = None

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start to stop."""
        header = self.header
        row = header.nbytes // max(1, header.shape[0]) if header.shape else header.nbytes
        rows = _range(header, start, stop)
        content = self._bytes(header.length + rows.start * row, len(rows) * row)
        return _shaped(content, header, len(rows))

    def read_whole(self, start: int, stop: int) -> np.ndarray:
        """The same of an array that is stored column by column, which has to be read whole."""
        content = self._bytes(self.header.length, self.header.nbytes)
        whole = np.frombuffer(content, self.header.dtype).reshape(self.header.shape, order="F")
        return np.ascontiguousarray(whole[start:stop])

    def _bytes(self, offset: int, length: int) -> bytes:
        with self._lock:
            try:
                if self._stream is None or self._stream.tell() > offset:
                    # Open from one read to the next: unpacking cannot begin in the middle.
                    self._stream = zipfile.ZipFile(self.path).open(self.member)  # noqa: SIM115
                self._stream.seek(offset)
                content = self._stream.read(length)
            except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
                self._stream = None
                raise DataError(
                    f"{str(self.path)!r}: {self.name!r} is damaged ({error})."
                ) from error
        if len(content) < length:
            raise _cut_short(self.path, self.name)
        return content

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_stream")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()


def _data_start(path: Path, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: behind its local header, whose lengths are its own."""
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26, os.SEEK_SET)
        lengths = file.read(4)
    return (
        info.header_offset
        + 30
        + int.from_bytes(lengths[:2], "little")
        + int.from_bytes(lengths[2:], "little")
    )


def _cut_short(path: Path, name: str) -> DataError:
    return DataError(
        f"{str(path)!r} is cut short: {name!r} has fewer bytes than its shape needs. Copy it again."
    )

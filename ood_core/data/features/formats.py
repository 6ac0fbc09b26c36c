"""Which format a file of arrays has, told by its first bytes and never by its name."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from ood_core.data.features.array_file import ArrayFile
from ood_core.data.features.hdf5 import read_hdf5
from ood_core.data.features.numpy_files import read_npy, read_npy_folder, read_npz
from ood_core.data.features.parquet_columns import read_parquet
from ood_core.data.features.tensors import read_safetensors
from ood_core.errors import DataError

__all__ = ["FORMATS", "open_arrays"]

FORMATS = ".npz, .npy or a folder of .npy, .safetensors, .parquet, .h5"
"""What a file of arrays may be, for messages."""

_LARGEST_HEADER = 100_000_000


def open_arrays(path: Path) -> ArrayFile:
    """The arrays of a file or folder; headers are read and nothing else.

    Raises
    ------
    DataError
        When it is of no such format, damaged, or holds what only unpickling reads.
    """
    if path.is_dir():
        return read_npy_folder(path)
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read ({error.strerror}).") from error
    if not start:
        raise DataError(f"{str(path)!r} is an empty file. Copy or save it again.")
    reader = _reader(path, start)
    if reader is None:
        raise DataError(
            f"{str(path)!r} is {_what(start)}, not a file of arrays. Expected {FORMATS}; what "
            "counts is the content, not the name."
        )
    try:
        return reader(path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"{str(path)!r} is damaged or cut short: {error}.") from error


def _reader(path: Path, start: bytes) -> Callable[[Path], ArrayFile] | None:
    if start.startswith(b"\x93NUMPY"):
        return read_npy
    if start.startswith(b"PAR1"):
        return read_parquet
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return read_hdf5
    if start.startswith(b"PK"):
        _refuse_pickled_zip(path)
        return read_npz
    length = int.from_bytes(start[:8], "little")
    return read_safetensors if start[8:9] == b"{" and length < _LARGEST_HEADER else None


def _refuse_pickled_zip(path: Path) -> None:
    """Refuse what torch.save wrote: it is a pickle in an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise DataError(f"{str(path)!r} is damaged or cut short: {error}.") from error
    if any(name.endswith("data.pkl") for name in names):
        raise DataError(
            f"{str(path)!r} was written by torch.save, which is a pickle, and a pickle can run "
            "anything: refused. Save the tensors with safetensors.torch.save_file(tensors, "
            '"fit.safetensors"), or as arrays with np.savez("fit.npz", features=h.numpy(), …).'
        )


def _what(start: bytes) -> str:
    if start[:1] == b"\x80" and start[1:2] <= b"\x05":
        return "a pickle, which can run anything and is not opened"
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
        return "a compressed file (unpack it first)"
    if start.startswith(b"MATLAB"):
        return "a MATLAB file (save it with -v7.3, which is HDF5)"
    if all(32 <= byte < 127 or byte in b"\r\n\t" for byte in start):
        return "a text (for a table of numbers: pandas.read_csv, then to_parquet)"
    return "of an unknown format"

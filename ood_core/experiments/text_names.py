"""Class names beside class embeddings, read without NumPy: an experiment file is read at once."""

from __future__ import annotations

import ast
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

__all__ = ["text_names"]

_LARGEST = 64 * 2**20
"""Bytes of names that are read; far more than any set of classes has."""


def text_names(path: Path) -> tuple[str, ...] | None:
    """The array `names` of an `.npz`, or the JSON list `names` in safetensors' metadata.

    None where there are none that can be read; what is wrong with the file is said when it is
    opened for its embeddings.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(8)
        return _of_npz(path) if start.startswith(b"PK") else _of_safetensors(path, start)
    except (OSError, ValueError, TypeError, KeyError, SyntaxError, struct.error, zlib.error,
            zipfile.BadZipFile, RecursionError, NotImplementedError, RuntimeError):  # fmt: skip
        return None


def _of_npz(path: Path) -> tuple[str, ...] | None:
    """One-dimensional text, as NumPy writes it: a header, then four bytes a character."""
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo("names.npy").file_size > _LARGEST:
            return None
        content = archive.read("names.npy")
    if content[:6] != b"\x93NUMPY":
        return None
    wide = content[6] >= 2
    (length,) = struct.unpack_from("<I" if wide else "<H", content, 8)
    begin = 12 if wide else 10
    header: Any = ast.literal_eval(content[begin : begin + length].decode("latin-1"))
    kind, size = header["descr"][:2], int(header["descr"][2:])
    (count,) = header["shape"]
    codec, width = {"<U": ("utf-32-le", 4), ">U": ("utf-32-be", 4), "|S": ("utf-8", 1)}[kind]
    body, item = content[begin + length :], size * width
    if len(body) != count * item:
        return None
    cut = (body[i * item : (i + 1) * item] for i in range(count))
    return tuple(raw.decode(codec).rstrip("\0") for raw in cut)


def _of_safetensors(path: Path, start: bytes) -> tuple[str, ...] | None:
    length = int.from_bytes(start, "little")
    if not 2 <= length <= _LARGEST:
        return None
    with open(path, "rb") as file:
        file.seek(8)
        metadata = json.loads(file.read(length))["__metadata__"]
    names = json.loads(metadata["names"])
    return tuple(map(str, names)) if isinstance(names, list) else None

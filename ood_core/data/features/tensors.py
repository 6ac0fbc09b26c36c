"""`.safetensors` files as files of arrays: the header says where each array's bytes lie."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from ood_core.data.features.array_file import ArrayFile, Column, bfloat16, natural_key
from ood_core.errors import DataError

__all__ = ["read_safetensors"]

_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1",
}  # fmt: skip


def read_safetensors(path: Path) -> ArrayFile:
    """The tensors of a file. safetensors checks it; rows are read in plain reads, so that
    bfloat16 needs no framework and no more is in memory than what is asked for."""
    try:
        with safe_open(path, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        raise DataError(f"{str(path)!r} is damaged or cut short: {error}.") from error
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    columns = {
        name: _column(path, name, header[name], 8 + length)
        for name in sorted(header, key=natural_key)
    }
    return ArrayFile(path, "safetensors", columns, (path,), ordered=False)


def _column(path: Path, name: str, entry: dict[str, object], data: int) -> Column:
    shape = tuple(int(size) for size in entry["shape"])  # type: ignore[attr-defined]
    named = str(entry["dtype"])
    offset = data + int(entry["data_offsets"][0])  # type: ignore[index]
    dtype = _TYPES.get(named)
    shown = "bfloat16" if named == "BF16" else (str(np.dtype(dtype)) if dtype else named)
    read = partial(_rows, path, np.dtype(dtype or "u1"), shape, offset, named == "BF16")
    return Column(name, shape, shown, "number" if dtype else "other", read)


def _rows(
    path: Path,
    dtype: np.dtype,
    shape: tuple[int, ...],
    offset: int,
    half: bool,
    start: int,
    stop: int,
) -> np.ndarray:
    width = int(np.prod(shape[1:], dtype=np.int64))
    rows = max(0, min(stop, shape[0]) - start) if shape else 1
    with open(path, "rb") as file:
        file.seek(offset + start * width * dtype.itemsize)
        content = file.read(rows * width * dtype.itemsize)
    found = np.frombuffer(content, dtype).reshape((rows, *shape[1:]) if shape else ())
    return bfloat16(found) if half else found

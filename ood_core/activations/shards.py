"""One shard: a safetensors file that is there whole or not at all, with a checksum per array."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ood_core.errors import DataError

__all__ = ["DamagedShardError", "read_array", "read_metadata", "write_bytes", "write_shard"]


class DamagedShardError(DataError):
    """A stored file is cut short or holds other bytes than were written."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part.

    Temporary name in the same folder, fsync, rename, fsync of the folder.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_shard(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> int:
    """Write arrays and JSON metadata atomically; return the number of bytes."""
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    checksums = {name: _checksum(array) for name, array in whole.items()}
    content = save(whole, metadata={"ood_lens": json.dumps({**metadata, "crc32": checksums})})
    write_bytes(path, content)
    return len(content)


def read_metadata(path: Path) -> dict[str, Any]:
    """Metadata of a shard whose size fits its header.

    Raises
    ------
    DamagedShardError
        When the file is missing, cut short or not a shard.
    """
    with _opened(path) as file:
        metadata: dict[str, Any] = json.loads((file.metadata() or {}).get("ood_lens", "{}"))
    if "crc32" not in metadata:
        raise DamagedShardError(f"{path} is not a shard of the activation store.")
    return metadata


def read_array(path: Path, name: str) -> np.ndarray:
    """One array of a shard, checked against its checksum.

    Raises
    ------
    DamagedShardError
        When the file is missing, cut short, or its bytes have changed.
    """
    with _opened(path) as file:
        metadata = json.loads((file.metadata() or {}).get("ood_lens", "{}"))
        array: np.ndarray = file.get_tensor(name)
    if _checksum(array) != metadata.get("crc32", {}).get(name):
        raise DamagedShardError(f"{path}: the bytes of {name!r} are not those that were written.")
    return array


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(array.reshape(-1).view(np.uint8).data)


def _opened(path: Path) -> Any:
    """The file, opened; a disk that fails for the moment is no damage."""
    try:
        return safe_open(path, framework="np")
    except (FileNotFoundError, SafetensorError) as problem:
        raise DamagedShardError(f"{path} is missing or cut short: {problem}") from problem
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem}") from problem


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows has no way to open a folder for it, and needs none."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

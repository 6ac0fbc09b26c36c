"""Uploaded files kept on this machine: zips of images, lists, checkpoints."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import IO

from ood_core.errors import DataError
from ood_core.runtime.paths import home

__all__ = ["keep_upload"]

_BLOCK = 1 << 20


def keep_upload(name: str, file: IO[bytes]) -> Path:
    """Write an upload below the `uploads` folder of OOD_LENS_HOME and return its path.

    The same content under the same name is kept once; other content gets another folder.

    Raises
    ------
    DataError
        When the file is empty or cannot be written.
    """
    plain = re.sub(r"[^A-Za-z0-9._+ -]", "_", os.path.basename(name)).lstrip(".") or "upload"
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while block := file.read(_BLOCK):
        digest.update(block)
        size += len(block)
    if size == 0:
        raise DataError(f"{plain}: the file is empty (0 bytes).")
    target = home() / "uploads" / digest.hexdigest()[:12] / plain
    if target.is_file() and target.stat().st_size == size:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{plain}.{os.getpid()}.part")
        file.seek(0)
        with open(part, "wb") as out:
            while block := file.read(_BLOCK):
                out.write(block)
        os.replace(part, target)
    except OSError as error:
        raise DataError(f"{plain} cannot be kept in {target.parent} ({error.strerror}).") from error
    return target

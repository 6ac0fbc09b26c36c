"""What a network file says of its images and classes: `ood_lens.json`, which our export writes."""

from __future__ import annotations

import json
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from ood_core.experiments.experiment import Preprocessing
from ood_core.experiments.parsing import parse_preprocessing

__all__ = ["stated_class_names", "stated_preprocessing"]

_NAME = "extra/ood_lens.json"
_MOST_BYTES = 10_000_000


def stated_preprocessing(path: Path) -> Preprocessing | None:
    """Resize and crop as they were; the program itself normalises, so mean and std are 0 and 1."""
    table = _stated(path).get("preprocessing")
    if not isinstance(table, dict):
        return None
    given = {key: value for key, value in table.items() if value is not None}
    channels = len(given.get("mean", (0, 0, 0)))
    given |= {"mean": [0.0] * channels, "std": [1.0] * channels}
    return parse_preprocessing(given, f"{path.name}: preprocessing")


def stated_class_names(path: Path) -> tuple[str, ...] | None:
    """Names of its classes, or None."""
    names = _stated(path).get("class_names")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        return None
    return tuple(names)


def _stated(path: Path) -> dict[str, Any]:
    try:
        status = path.stat()
    except OSError:
        return {}
    return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _read(path: Path, size: int, mtime_ns: int) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.filename.endswith(_NAME) and info.file_size <= _MOST_BYTES:
                    content = json.loads(archive.read(info))
                    return content if isinstance(content, dict) else {}
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError):
        return {}  # the file itself is reported where it is opened
    return {}

"""Checkpoints in several files: an index in JSON names the file of each tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ood_core.errors import ModelError
from ood_core.models.published_weights import WeightsMissingError

__all__ = ["checkpoint_files", "is_index", "weight_map"]

_LARGEST_INDEX = 100 * 2**20


def is_index(path: Path) -> bool:
    """Whether a file is an index of shards (`model.safetensors.index.json`), by its content."""
    return isinstance(_json(path).get("weight_map"), Mapping)


def weight_map(path: Path) -> dict[str, str]:
    """Name of a tensor -> name of the file beside the index that holds it.

    Raises
    ------
    ModelError
        When a file's name is no plain one: an index names only what lies beside it.
    """
    found = {str(k): str(v) for k, v in _json(path)["weight_map"].items()}
    for file in found.values():
        if file in ("", ".", "..") or Path(file).name != file or "\\" in file:
            raise ModelError(f"{path.name} names {file!r}, which is no file beside it.")
    return found


def checkpoint_files(path: Path) -> tuple[Path, ...]:
    """Every file of a checkpoint: the file alone, or an index and its shards.

    Raises
    ------
    WeightsMissingError
        When a shard is missing, with its name.
    """
    if not is_index(path):
        return (path,)
    names = sorted(set(weight_map(path).values()))
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise WeightsMissingError(
            f"{len(missing)} of the {len(names)} files that {path.name} names "
            f"{'are' if len(missing) > 1 else 'is'} missing: {', '.join(missing[:4])}"
            f"{', …' if len(missing) > 4 else ''}. Copy or download into {path.parent}."
        )
    return (path, *(path.parent / name for name in names))


def _json(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file; empty for any other file."""
    try:
        with open(path, "rb") as file:
            start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
            if not start.startswith(b"{") or path.stat().st_size > _LARGEST_INDEX:
                return {}
        values = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, Mapping) else {}

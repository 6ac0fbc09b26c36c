"""Folders of Hugging Face transformers and of timm as they lie on disk: what config.json says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ood_core.errors import ConfigError

__all__ = ["folder_has_head", "folder_json", "is_timm_folder", "model_folder"]

_LARGEST_JSON = 20 * 2**20
"""Bytes of a configuration; those with the names of 21,000 classes have two million."""
_TELLING = ("model_type", "architectures", "architecture")
"""Keys of config.json of which one says which network it is; other libraries write others."""


def model_folder(path: Path) -> Path | None:
    """The folder with config.json that a path means, or None.

    In a cache of the hub, `models--ORG--NAME` and its `snapshots` mean the one snapshot in it, or
    the one that `refs/main` names.

    Raises
    ------
    ConfigError
        When there are several snapshots and none is named, with their names.
    """
    if not path.is_dir():
        return None
    if (path / "config.json").is_file():
        found = folder_json(path / "config.json")
        return path if any(key in found for key in _TELLING) else None
    snapshots = path if path.name == "snapshots" else path / "snapshots"
    if not (snapshots.is_dir() and snapshots.parent.name.startswith("models--")):
        return None
    there = sorted(p for p in snapshots.iterdir() if (p / "config.json").is_file())
    main = _text(snapshots.parent / "refs" / "main")
    chosen = [p for p in there if p.name == main] or there
    if len(chosen) > 1:
        raise ConfigError(
            f"{path} holds {len(chosen)} snapshots, and refs/main names none of them: name one, "
            f"{', '.join(str(p) for p in chosen[:3])}."
        )
    return model_folder(chosen[0]) if chosen else None


def folder_json(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file; empty for anything else."""
    try:
        if path.stat().st_size > _LARGEST_JSON:
            return {}
        values = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, Mapping) else {}


def is_timm_folder(config: Mapping[str, Any]) -> bool:
    """Whether config.json is one of timm's: `architecture`, not `architectures`, names it."""
    return isinstance(config.get("architecture"), str)


def folder_has_head(path: Path) -> bool:
    """Whether the network in a folder ends in a head: else its output is features."""
    folder = model_folder(path)
    if folder is None:
        return True
    config = folder_json(folder / "config.json")
    if is_timm_folder(config):
        return config.get("num_classes") != 0
    classes = config.get("architectures")
    names = classes if isinstance(classes, list) else []
    return any("ForImageClassification" in str(name) for name in names)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""

"""What to name in place of a folder that holds a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["what_to_name"]

_ENDINGS = (
    ".safetensors.index.json", ".bin.index.json", ".safetensors", ".bin", ".pth", ".pt", ".ckpt",
    ".th", ".tar",
)  # fmt: skip


def what_to_name(folder: Path) -> str:
    """`name the file in it: 'model.safetensors'.`, and what a config.json beside it says."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        names = []
    if any(name.endswith(".distcp") for name in names):
        return (
            "it is a distributed checkpoint. Gather it into one file: python -m "
            f"torch.distributed.checkpoint.format_utils dcp_to_torch {folder} weights.pth."
        )
    if {"saved_model.pb", "data.pkl"} & set(names):
        what = "TensorFlow SavedModel" if "saved_model.pb" in names else "unpacked checkpoint"
        return f"it is a {what}. Name a file that torch.save or safetensors wrote."
    ranked = [name for end in _ENDINGS for name in names if name.endswith(end)]
    ranked = list(dict.fromkeys(ranked))
    said = f"name the file in it{': ' + ', '.join(map(repr, ranked[:3])) if ranked else ''}."
    return f"{said}{_config(folder / 'config.json')}"


def _config(path: Path) -> str:
    """What a Hugging Face config.json says of the network."""
    try:
        values: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    if not isinstance(values, Mapping):
        return ""
    name, classes = values.get("architecture"), values.get("architectures")
    if isinstance(name, str):
        return f' Its config.json says timm: architecture = "timm:{name}".'
    if isinstance(classes, list) and classes:
        return (
            f" Its config.json says {classes[0]} of Hugging Face transformers, whose names for "
            "weights differ from torchvision's and timm's: take the same network from timm, or add "
            "it as an architecture (docs/extending.md)."
        )
    return ""

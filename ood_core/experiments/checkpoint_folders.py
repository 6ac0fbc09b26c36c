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
    """`name the file in it: 'model.safetensors'.`, or the folder where it is a whole network."""
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
    whole = _whole_network(folder / "config.json")
    return f"{whole} Or {said}" if whole else said


def _whole_network(path: Path) -> str:
    """What to do with a folder whose config.json says which network it holds; "" for another."""
    try:
        values: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    if not isinstance(values, Mapping):
        return ""
    if isinstance(values.get("architecture"), str):
        whose = f"timm ({values['architecture']})"
    elif isinstance(values.get("architectures"), list) and values["architectures"]:
        whose = f"Hugging Face transformers ({values['architectures'][0]})"
    else:
        return ""
    return (
        f"it is one of {whose}, which is opened as it is: name the folder and leave architecture "
        "out."
    )

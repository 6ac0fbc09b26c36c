"""Tiny networks of transformers, saved as folders the way their users have them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

__all__ = ["FAMILIES", "SIDE", "TEXT", "TRANSFORMER", "edit", "images", "saved"]

SIDE = 32
TRANSFORMER = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "image_size": SIDE, "patch_size": 8,
}  # fmt: skip
TEXT = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
    "vocab_size": 50, "eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip
_WINDOWS = {
    "image_size": SIDE, "patch_size": 2, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2],
    "window_size": 4,
}  # fmt: skip
_STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
FAMILIES: dict[str, dict[str, Any]] = {
    "ViT": TRANSFORMER,
    "DeiT": TRANSFORMER,
    "Beit": TRANSFORMER,
    "Data2VecVision": TRANSFORMER,
    "Dinov2": TRANSFORMER,
    "Dinov2WithRegisters": TRANSFORMER,
    "Swin": _WINDOWS,
    "Swinv2": _WINDOWS,
    "ConvNext": _STAGES,
    "ConvNextV2": _STAGES,
    "ResNet": {"embedding_size": 8, **_STAGES},
    "RegNet": {"embedding_size": 8, "groups_width": 8, **_STAGES},
    "EfficientNet": {
        "image_size": SIDE, "width_coefficient": 0.25, "depth_coefficient": 0.1, "hidden_dim": 320
    },
    "MobileNetV1": {"image_size": SIDE, "depth_multiplier": 0.25},
    "MobileNetV2": {"image_size": SIDE, "depth_multiplier": 0.25},
    "Siglip": {"vision_config": TRANSFORMER, "text_config": TEXT},
    "CLIP": {"vision_config": TRANSFORMER, "text_config": TEXT, "projection_dim": 24},
}  # fmt: skip
"""Family -> values of its configuration."""


def saved(folder: Path, family: str, suffix: str, labels: int | None = 3, **options: Any) -> Any:
    """A network with weights by chance, saved into `folder`, and read back by transformers."""
    import transformers

    kind = "Model" if family in ("CLIP", "Siglip") and suffix.startswith("Vision") else ""
    prefix = f"{family}Vision" if kind else family
    values = TRANSFORMER if kind else FAMILIES[family]
    config = getattr(transformers, f"{prefix}Config")(**values)
    if labels is not None:
        config.num_labels = labels
    torch.manual_seed(0)
    named = getattr(transformers, f"{family}{suffix}")
    network = named(config)
    with torch.no_grad():
        for parameter in network.parameters():  # heads begin as zeros
            parameter.add_(0.05 * torch.randn_like(parameter))
    network.save_pretrained(folder, **options)
    return named.from_pretrained(folder, local_files_only=True).eval().requires_grad_(False)


def edit(folder: Path, name: str = "config.json", **values: Any) -> None:
    """Change keys of a JSON file; None takes one out."""
    path = folder / name
    content = json.loads(path.read_text()) if path.exists() else {}
    content |= values
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def images(count: int = 3, side: int = SIDE) -> torch.Tensor:
    """Images as a network takes them."""
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def as_hub_cache(folder: Path, cache: Path, main: str | None = "abc123") -> Path:
    """The folder copied into the layout of the hub's cache; returns its topmost folder."""
    top = cache / "models--org--name"
    shutil.copytree(folder, top / "snapshots" / "abc123")
    if main is not None:
        (top / "refs").mkdir()
        (top / "refs" / "main").write_text(main)
    return top

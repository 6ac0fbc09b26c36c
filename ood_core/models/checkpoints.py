"""Reading checkpoints safely, and loading all of one or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["load_weights", "randomise", "read_state_dict"]


def randomise(builder: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a network whose initial weights depend on `seed` only; the global generator is kept."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return builder()


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """State dict of a .safetensors file."""
    from safetensors.torch import load_file

    state: dict[str, torch.Tensor] = load_file(path)
    return state


def load_weights(network: nn.Module, path: Path, architecture: str) -> None:
    """Load a checkpoint file into the network, completely or not at all."""
    missing, unexpected = network.load_state_dict(read_state_dict(path), strict=False)
    if missing or unexpected:
        raise ModelError(f"{path.name} does not fit {architecture}: {missing} {unexpected}")

"""Loading all of a checkpoint into a network or nothing, and saying why it does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.errors import ModelError
from ood_core.models.checkpoints import Candidate, candidates, logger, read_checkpoint
from ood_core.models.mismatch import Mismatch, compare, head_renamed, shapes_of
from ood_core.models.nearest import nearest_to

if TYPE_CHECKING:
    from torch import nn

__all__ = ["load_weights", "randomise"]


def randomise(builder: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a network whose initial weights depend on `seed` only; the global generator is kept.

    Vision transformers start with a head of zeros, which tells nothing apart: it gets small
    random weights.
    """
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = builder()
        for module in network.modules():
            if isinstance(module, nn.Linear) and not module.weight.any():
                nn.init.trunc_normal_(module.weight, std=0.02)
        return network


def load_weights(
    network: nn.Module,
    path: Path,
    architecture: str,
    adapt: Callable[[Candidate], Candidate] | None = None,
) -> None:
    """Load a checkpoint file into the network, completely or not at all.

    A checkpoint that lacks nothing but the last linear layer's bias was trained without one: the
    network's is removed.

    Parameters
    ----------
    network : gets the weights; on an error it is as before.
    path : .safetensors (preferred) or anything that `torch.load(weights_only=True)` reads.
    architecture : its name, for messages.
    adapt : changes names of a candidate state dict as this architecture needs.

    Raises
    ------
    ModelError
        With the missing and unexpected names, conflicting shapes, and the architecture that fits
        better where there is one.
    """
    wanted = shapes_of(network.state_dict())
    best: tuple[float, int, Mismatch] | None = None
    found = [(place, adapt(s) if adapt else s) for place, s in candidates(read_checkpoint(path))]
    for place, original in found:
        state = head_renamed(original, wanted)
        mismatch = compare(shapes_of(state), wanted)
        bare = _head_without_bias(network, mismatch)
        if mismatch.fits or bare is not None:
            if bare is not None:
                bare.register_parameter("bias", None)
            logger.info("loaded %s from %s (%s)", architecture, path.name, place)
            network.load_state_dict(state, strict=False)
            return
        rank = (mismatch.share, len(state), mismatch)
        best = rank if best is None or rank[:2] >= best[:2] else best
    if best is None:
        raise ModelError(f"{path.name} holds no network weights: it has no named tensors.")
    said = _explained(best[2], architecture, [state for _, state in found])
    raise ModelError(f"{path.name} does not fit {architecture!r}, nothing was loaded: {said}")


def _head_without_bias(network: nn.Module, mismatch: Mismatch) -> nn.Linear | None:
    """The network's last linear layer, where all that the checkpoint lacks is its bias.

    Such a head was trained without one: loading it so is complete.
    """
    from torch import nn

    linear = [(f"{k}.bias", m) for k, m in network.named_modules() if isinstance(m, nn.Linear)]
    if not linear or mismatch.unexpected or mismatch.shapes:
        return None
    name, head = linear[-1]
    return head if mismatch.missing == (name,) else None


def _explained(mismatch: Mismatch, architecture: str, states: list[Candidate]) -> str:
    said = "; ".join(mismatch.lines()) + "."
    heads = {a[0] for a, b in mismatch.shapes.values() if a[0] != b[0] and a[1:] == b[1:]}
    if not (mismatch.missing or mismatch.unexpected) and len(heads) == 1:
        return f"{said} The checkpoint has {heads.pop()} classes: set num_classes to that."
    name, share = next(iter(nearest_to(states)), (architecture, 0.0))
    if name == architecture or share <= max(mismatch.share, 0.5):
        return f"{said} No other known architecture fits better."
    degree = "fits completely" if share == 1 else f"is nearest, {share:.0%} of its names fit"
    return f"{said} Architecture {name!r} {degree}."

"""Loading all of a checkpoint into a network or nothing, and saying why it does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError
from ood_core.models.checkpoints import Candidate, candidates, logger, read_checkpoint

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Mismatch",
    "checkpoint_classes",
    "compare",
    "load_weights",
    "nearest_architectures",
    "randomise",
]

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Mismatch:
    """How a checkpoint differs from a network.

    Parameters
    ----------
    missing : names that the network has and the checkpoint lacks.
    unexpected : names that the checkpoint has and the network lacks.
    shapes : name -> (shape in the checkpoint, shape in the network) where they differ.
    matched : number of names that fit.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    matched: int

    @property
    def fits(self) -> bool:
        """Whether everything fits."""
        return not (self.missing or self.unexpected or self.shapes)

    @property
    def share(self) -> float:
        """Names that fit, as a share of all names on either side."""
        total = self.matched + len(self.missing) + len(self.unexpected) + len(self.shapes)
        return self.matched / total if total else 0.0

    def lines(self) -> list[str]:
        """What differs, one sentence each, the first few names of each kind."""
        said = []
        if self.missing:
            said.append(f"{len(self.missing)} missing ({_first(self.missing)})")
        if self.unexpected:
            said.append(f"{len(self.unexpected)} unexpected ({_first(self.unexpected)})")
        if self.shapes:
            shown = [f"{k}: file {a}, network {b}" for k, (a, b) in self.shapes.items()]
            said.append(f"{len(self.shapes)} of another shape ({_first(shown, 2)})")
        return said


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
    wanted = _shapes_of(network.state_dict())
    best: tuple[float, int, Mismatch] | None = None
    found = [(place, adapt(s) if adapt else s) for place, s in candidates(read_checkpoint(path))]
    for place, original in found:
        state = _head_renamed(original, wanted)
        mismatch = compare(_shapes_of(state), wanted)
        if mismatch.fits:
            logger.info("loaded %s from %s (%s)", architecture, path.name, place)
            network.load_state_dict(state, strict=False)
            return
        rank = (mismatch.share, len(state), mismatch)
        best = rank if best is None or rank[:2] >= best[:2] else best
    if best is None:
        raise ModelError(f"{path.name} holds no network weights: it has no named tensors.")
    said = _explained(best[2], architecture, [state for _, state in found])
    raise ModelError(f"{path.name} does not fit {architecture!r}, nothing was loaded: {said}")


def compare(state: Shapes, wanted: Shapes) -> Mismatch:
    """Compare names and shapes. Batch norm's step counters may be absent on either side."""
    counters = {k for k in (*state, *wanted) if k.endswith("num_batches_tracked")}
    have, need = set(state) - counters, set(wanted) - counters
    both = have & need
    differ = {k: (state[k], wanted[k]) for k in sorted(both) if state[k] != wanted[k]}
    return Mismatch(
        missing=tuple(k for k in wanted if k in need - have),
        unexpected=tuple(k for k in state if k in have - need),
        shapes=differ,
        matched=len(both) - len(differ),
    )


def nearest_architectures(path: Path, limit: int = 3) -> list[tuple[str, float]]:
    """Architectures that a checkpoint file agrees with best, and the share of names that agree.

    Built-in ones, then torchvision's. The number of classes is taken from the file, so a network
    of another class count still counts as fitting.

    Raises
    ------
    ModelError
        When the file cannot be read.
    """
    return _nearest([state for _, state in candidates(read_checkpoint(path))])[:limit]


def checkpoint_classes(path: Path) -> int | None:
    """Number of classes of the network in a checkpoint file; None where it cannot be told.

    Raises
    ------
    ModelError
        When the file cannot be read.
    """
    found = next((state for _, state in candidates(read_checkpoint(path))), {})
    return _class_count(_shapes_of(found))


def _nearest(states: list[Candidate]) -> list[tuple[str, float]]:
    from ood_core.models.architectures import adapter

    scored: dict[str, float] = {}
    for name in _names():
        adapt = adapter(name)
        for state in states:
            shapes = _known_shapes(name, _class_count(_shapes_of(state)))
            fitted = _head_renamed(adapt(state) if adapt else state, shapes)
            share = compare(_shapes_of(fitted), shapes).share
            if share == 1:
                return [(name, share)]
            scored[name] = max(share, scored.get(name, 0.0))
    return sorted(scored.items(), key=lambda pair: -pair[1])


def _explained(mismatch: Mismatch, architecture: str, states: list[Candidate]) -> str:
    said = "; ".join(mismatch.lines()) + "."
    heads = {a[0] for a, b in mismatch.shapes.values() if a[0] != b[0] and a[1:] == b[1:]}
    if not (mismatch.missing or mismatch.unexpected) and len(heads) == 1:
        return f"{said} The checkpoint has {heads.pop()} classes: set num_classes to that."
    name, share = _nearest(states)[0]
    if name == architecture or share <= max(mismatch.share, 0.5):
        return f"{said} No other known architecture fits better."
    degree = "fits completely" if share == 1 else f"is nearest, {share:.0%} of its names fit"
    return f"{said} Architecture {name!r} {degree}."


def _head_renamed(state: Candidate, wanted: Shapes) -> Candidate:
    """The same weights with the head's name changed, where only that differs (linear, fc, …)."""
    mismatch = compare(_shapes_of(state), wanted)
    theirs = {k.rpartition(".")[0] for k in mismatch.unexpected}
    ours = {k.rpartition(".")[0] for k in mismatch.missing}
    if len(theirs) != 1 or len(ours) != 1:
        return state
    old, new = theirs.pop(), ours.pop()
    renamed = {k: f"{new}.{k.removeprefix(old + '.')}" for k in mismatch.unexpected}
    same = all(
        v in wanted and tuple(state[k].shape)[1:] == wanted[v][1:] for k, v in renamed.items()
    )
    return {renamed.get(k, k): v for k, v in state.items()} if same else state


@cache
def _names() -> tuple[str, ...]:
    """Architectures to compare with.

    RegNets compute their widths with tensors, so they cannot be built without memory, and are
    left out.
    """
    from ood_core.models.architectures import architectures, collection

    zoo = collection("torchvision:")
    others = [n for n in (zoo.names() if zoo else ()) if not n.startswith("regnet")]
    return (*architectures(), *(f"torchvision:{n}" for n in others))


@cache
def _known_shapes(architecture: str, num_classes: int | None) -> Shapes:
    import torch

    from ood_core.models.architectures import build

    with torch.device("meta"):
        return _shapes_of(build(architecture, num_classes).state_dict())


def _class_count(shapes: Shapes) -> int | None:
    """Rows of the last matrix: the head's, in almost every network."""
    return next((s[0] for s in reversed(tuple(shapes.values())) if len(s) in (2, 4)), None)


def _shapes_of(state: Mapping[str, Any]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _first(items: Iterable[str], limit: int = 4) -> str:
    shown = list(items)
    return ", ".join(shown[:limit]) + (", …" if len(shown) > limit else "")

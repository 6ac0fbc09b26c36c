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

__all__ = ["Mismatch", "compare", "load_weights", "nearest_architectures", "randomise"]

Shapes = Mapping[str, tuple[int, ...]]
_SHOWN = 4


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
            said.append(f"{len(self.shapes)} of another shape ({_first(shown)})")
        return said


def randomise(builder: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a network whose initial weights depend on `seed` only; the global generator is kept."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return builder()


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
    best: tuple[Mismatch, Candidate] | None = None
    for place, state in candidates(read_checkpoint(path)):
        state = _head_renamed(adapt(state) if adapt else state, wanted)
        mismatch = compare(_shapes_of(state), wanted)
        if mismatch.fits:
            logger.info("loaded %s from %s (%s)", architecture, path.name, place)
            network.load_state_dict(state, strict=False)
            return
        if best is None or mismatch.share > best[0].share:
            best = mismatch, state
    if best is None:
        raise ModelError(f"{path.name} holds no network weights: it has no named tensors.")
    raise ModelError(_explained(path, architecture, *best))


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


def nearest_architectures(state: Candidate, limit: int = 3) -> list[tuple[str, float]]:
    """Architectures whose names and shapes agree best with a state dict, with the share agreeing.

    Built-in and torchvision ones, built without memory for their weights. The number of classes
    is taken from the state dict, so a network of another class count still counts as fitting.
    """
    shapes = _shapes_of(state)
    classes = _class_count(shapes)
    scored = []
    for name, shape_of in _known_shapes(classes):
        share = compare(_shapes_of(_head_renamed(state, shape_of)), shape_of).share
        scored.append((name, share))
    return sorted(scored, key=lambda pair: -pair[1])[:limit]


def _explained(path: Path, architecture: str, mismatch: Mismatch, state: Candidate) -> str:
    said = "; ".join(mismatch.lines())
    message = f"{path.name} does not fit {architecture!r}, nothing was loaded: {said}."
    heads = {a[0] for a, b in mismatch.shapes.values() if a[0] != b[0] and a[1:] == b[1:]}
    if not (mismatch.missing or mismatch.unexpected) and len(heads) == 1:
        return f"{message} The checkpoint has {heads.pop()} classes: set num_classes to that."
    name, share = nearest_architectures(state, limit=1)[0]
    if name == architecture or share <= max(mismatch.share, 0.5):
        return f"{message} No other known architecture fits better."
    degree = "fits completely" if share == 1 else f"is nearest, {share:.0%} of its names fit"
    return f"{message} Architecture {name!r} {degree}."


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
def _known_shapes(num_classes: int | None) -> tuple[tuple[str, Shapes], ...]:
    """Names and shapes of the built-in and the torchvision networks."""
    import torch

    from ood_core.models.architectures import architectures, build, collection

    zoo = collection("torchvision:")
    names = [*architectures(), *(f"torchvision:{n}" for n in (zoo.names() if zoo else ()))]
    with torch.device("meta"):
        return tuple((n, _shapes_of(build(n, num_classes).state_dict())) for n in names)


def _class_count(shapes: Shapes) -> int | None:
    """Rows of the last matrix: the head's, in almost every network."""
    return next((s[0] for s in reversed(tuple(shapes.values())) if len(s) in (2, 4)), None)


def _shapes_of(state: Mapping[str, Any]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _first(items: Iterable[str]) -> str:
    shown = list(items)
    return ", ".join(shown[:_SHOWN]) + (", …" if len(shown) > _SHOWN else "")

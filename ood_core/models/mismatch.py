"""How the names and shapes in a checkpoint differ from a network's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ood_core.models.checkpoints import Candidate

__all__ = ["Mismatch", "Shapes", "compare", "head_renamed", "shapes_of"]

Shapes = Mapping[str, tuple[int, ...]]
"""Parameter name -> shape."""


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


def compare(state: Shapes, wanted: Shapes) -> Mismatch:
    """Compare names and shapes. Batch norm's step counters may be absent on either side."""
    counters = {k for k in (*state, *wanted) if k.endswith("num_batches_tracked")}
    have, need = set(state) - counters, set(wanted) - counters
    both, missing, unexpected = have & need, need - have, have - need
    differ = {k: (state[k], wanted[k]) for k in sorted(both) if state[k] != wanted[k]}
    return Mismatch(
        missing=tuple(k for k in wanted if k in missing),
        unexpected=tuple(k for k in state if k in unexpected),
        shapes=differ,
        matched=len(both) - len(differ),
    )


def head_renamed(state: Candidate, wanted: Shapes) -> Candidate:
    """The same weights with the head's name changed, where only that differs (linear, fc, …)."""
    mismatch = compare(shapes_of(state), wanted)
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


def shapes_of(state: Mapping[str, Any]) -> Shapes:
    """Shapes of the tensors of a state dict; () for a nested tensor, which has none."""
    return {name: () if t.is_nested else tuple(t.shape) for name, t in state.items()}


def _first(items: Iterable[str], limit: int = 4) -> str:
    shown = list(items)
    return ", ".join(shown[:limit]) + (", …" if len(shown) > limit else "")

"""Which architecture a checkpoint belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ood_core.models.checkpoints import Candidate, candidates, read_checkpoint
from ood_core.models.mismatch import Shapes, compare, head_renamed, shapes_of

__all__ = ["checkpoint_classes", "nearest_architectures", "nearest_to"]


def nearest_architectures(path: Path, limit: int = 3) -> list[tuple[str, float]]:
    """Architectures that a checkpoint file agrees with best, and the share of names that agree.

    Built-in ones, then torchvision's. The number of classes is taken from the file, so a network
    of another class count still counts as fitting.

    Raises
    ------
    ModelError
        When the file cannot be read.
    """
    return nearest_to([state for _, state in candidates(read_checkpoint(path))])[:limit]


def checkpoint_classes(path: Path) -> int | None:
    """Number of classes of the network in a checkpoint file; None where it cannot be told.

    Raises
    ------
    ModelError
        When the file cannot be read.
    """
    found = next((state for _, state in candidates(read_checkpoint(path))), {})
    return _class_count(shapes_of(found))


def nearest_to(states: list[Candidate]) -> list[tuple[str, float]]:
    """Architectures by the share of names that agree with any of the state dicts, best first.

    Stops at the first that fits completely.
    """
    from ood_core.models.architectures import adapter

    scored: dict[str, float] = {}
    for name in _names():
        adapt = adapter(name)
        for state in states:
            shapes = _known_shapes(name, _class_count(shapes_of(state)))
            fitted = head_renamed(adapt(state) if adapt else state, shapes)
            share = compare(shapes_of(fitted), shapes).share
            if share == 1:
                return [(name, share)]
            scored[name] = max(share, scored.get(name, 0.0))
    return sorted(scored.items(), key=lambda pair: -pair[1])


def _names() -> Iterator[str]:
    """Architectures to compare with, built-in ones first: torchvision is slow to import.

    RegNets compute their widths with tensors, so they cannot be built without memory, and are
    left out.
    """
    from ood_core.models.architectures import architectures, collection

    yield from architectures()
    zoo = collection("torchvision:")
    names = zoo.names() if zoo else ()
    yield from (f"torchvision:{n}" for n in names if not n.startswith("regnet"))


@cache
def _known_shapes(architecture: str, num_classes: int | None) -> Shapes:
    import torch

    from ood_core.models.architectures import build

    with torch.device("meta"):
        return shapes_of(build(architecture, num_classes).state_dict())


def _class_count(shapes: Shapes) -> int | None:
    """Rows of the last matrix: the head's, in almost every network."""
    return next((s[0] for s in reversed(tuple(shapes.values())) if len(s) in (2, 4)), None)

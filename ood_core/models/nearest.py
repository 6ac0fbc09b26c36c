"""Which architecture a checkpoint belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ood_core.models.architectures import adapter, architectures, build, collection
from ood_core.models.checkpoints import Candidate, candidates, read_checkpoint
from ood_core.models.mismatch import Shapes, compare, head_renamed, shapes_of
from ood_core.models.normalisation import without_constants
from ood_core.models.parts import named, parts

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


def checkpoint_classes(path: Path, architecture: str, part: str | None = None) -> int | None:
    """Number of classes in a checkpoint file of a network; None where it cannot be told.

    It is that of the weights that would be loaded: those named by `part`, else averaged ones.

    Raises
    ------
    ModelError
        When the file cannot be read, or there is no such architecture or part.
    """
    found = parts(read_checkpoint(path))
    told = []
    for one in found if part is None else named(found, part):
        shapes = _adapted(architecture, one.state)
        classes = _classes_of(architecture, shapes)
        if classes is not None:
            told.append((_share(architecture, shapes) == 1, one.averaged, classes))
    if not any(fits for fits, _, _ in told):
        return told[0][2] if told else None
    best = max(t[:2] for t in told)
    counts = {classes for *kind, classes in told if tuple(kind) == best}
    return counts.pop() if len(counts) == 1 else None


def nearest_to(states: list[Candidate]) -> list[tuple[str, float]]:
    """Architectures by the share of names that agree with any of the state dicts, best first.

    Stops at the first that fits completely.
    """
    scored: dict[str, float] = {}
    for name in _names():
        for state in states:
            share = _share(name, _adapted(name, state))
            if share == 1:
                return [(name, share)]
            scored[name] = max(share, scored.get(name, 0.0))
    return sorted(scored.items(), key=lambda pair: -pair[1])


def _share(architecture: str, found: Shapes) -> float:
    """Names that agree, the network having as many classes as the file."""
    shapes = _known_shapes(architecture, 2)
    share = compare(found, shapes).share
    if share < 0.5:
        return share
    classes, heads = _classes_of(architecture, found), _head_names(architecture)
    grown = {k: (classes or s[0], *s[1:]) if k in heads else s for k, s in shapes.items()}
    return compare(found, grown).share


def _adapted(architecture: str, state: Candidate) -> Shapes:
    """Shapes in a state dict under the names that the network has for them."""
    adapt = adapter(architecture)
    known = _known_shapes(architecture, 2)
    plain = without_constants(adapt(state) if adapt else state, known)
    return shapes_of(head_renamed(plain, known))


def _classes_of(architecture: str, found: Shapes) -> int | None:
    counts = {found[name][0] for name in _head_names(architecture) if name in found}
    return counts.pop() if len(counts) == 1 else None


@cache
def _head_names(architecture: str) -> frozenset[str]:
    """Parameters whose shape follows the number of classes: a file's order tells nothing."""
    two, three = _known_shapes(architecture, 2), _known_shapes(architecture, 3)
    return frozenset(name for name in two if two[name] != three[name])


def _names() -> Iterator[str]:
    """Architectures to compare with, built-in ones first: torchvision is slow to import.

    RegNets compute their widths with tensors, so they cannot be built without memory, and are
    left out.
    """
    yield from architectures()
    zoo = collection("torchvision:")
    names = zoo.names() if zoo else ()
    yield from (f"torchvision:{n}" for n in names if not n.startswith("regnet"))


@cache
def _known_shapes(architecture: str, num_classes: int | None) -> Shapes:
    import torch

    with torch.device("meta"):
        return shapes_of(build(architecture, num_classes).state_dict())

"""Which tensor of a checkpoint is which of a network's, told by shapes and order alone.

Both sides are sequences of modules, each with the tensors that it holds itself. A network's
sequence is the one in which its modules were made. A checkpoint's is known as far as its names
tell: modules below one name stay together, and names that differ in a number follow each other
(`_blocks.2` before `_blocks.10`, `_bn0` before `_bn1`); names of different words may come in any
order, because safetensors files are sorted by name. The order of a file that is not sorted is the
order in which its modules were made, and decides by itself.

The orders that the names allow are compared with the network's sequence: module by module the
tensors must have the same last names and shapes. One order that does is the mapping. Of several
the one whose words agree best with the network's; if that leaves several, there is no mapping.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ood_core.errors import ModelError

if TYPE_CHECKING:
    import torch

    from ood_core.models.mismatch import Shapes
    from ood_core.models.parts import Candidate

__all__ = ["in_order"]

_COUNTER = "num_batches_tracked"
_LAST = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
    "moving_var": "running_var", "moving_variance": "running_var", "kernel": "weight",
}  # fmt: skip
"""Last names of tensors in other frameworks, and PyTorch's."""

_Signature = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False)
class _Module:
    """A module and the tensors of its own: last name -> (name, shape)."""

    path: str
    tensors: Mapping[str, tuple[str, tuple[int, ...]]]

    @cached_property
    def signature(self) -> _Signature:
        return tuple(sorted((end, shape) for end, (_, shape) in self.tensors.items()))

    @cached_property
    def words(self) -> frozenset[str]:
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z]+", " ", self.path.rpartition(".")[2])
        return frozenset(spaced.lower().split())


@dataclass(eq=False)
class _Node:
    """A name of the checkpoint's tree: a module, or what lies below it."""

    own: _Module | None = None
    below: dict[str, _Node] = field(default_factory=dict)

    @cached_property
    def size(self) -> int:
        return (self.own is not None) + sum(node.size for node in self.below.values())

    @cached_property
    def lanes(self) -> list[list[_Node]]:
        """What lies below, in lanes that keep their order: names that differ in numbers only."""
        lanes: dict[str, list[tuple[list[int], _Node]]] = {}
        for name, node in self.below.items():
            numbers = [int(n) for n in re.findall(r"\d+", name)]
            lanes.setdefault(re.sub(r"\d+", "#", name), []).append((numbers, node))
        ordered = [[n for _, n in sorted(lane, key=lambda e: e[0])] for lane in lanes.values()]
        return [[_Node(self.own)], *ordered] if self.own is not None else ordered


@dataclass(frozen=True, eq=False)
class _Found:
    """A subtree laid over the network: agreement of words, whether another is as good, modules."""

    score: int
    tied: tuple[str, str] | None
    modules: tuple[_Module, ...]


def in_order(state: Candidate, wanted: Shapes, drop_head: bool = False) -> dict[str, str]:
    """Name in the checkpoint -> name in the network, for every tensor.

    Parameters
    ----------
    state : name -> tensor of the checkpoint, in the order of the file.
    wanted : name -> shape of the network, in the order in which its modules were made.
    drop_head : whether the last modules of the file may be a head that the network lacks.

    Raises
    ------
    ModelError
        When there is no such mapping, or more than one that is as good.
    """
    theirs = _modules({k: tuple(v.shape) for k, v in state.items()})
    ours = _modules(wanted)
    if drop_head and len(theirs) > len(ours):
        theirs = _headless(theirs, ours)
    if len(theirs) != len(ours):
        raise ModelError(
            f"its tensors lie in {len(theirs)} modules and the network's in {len(ours)}, so order "
            "does not say which is which."
        )
    tree = _laid_over(theirs, ours)
    direct = _as_in_file(theirs, ours) if not _is_sorted(state) else None
    if direct is None and tree is None:
        raise ModelError(_differing(theirs, ours))
    if direct is None and tree is not None and tree.tied is not None:
        one, two = tree.tied
        raise ModelError(
            f"{one} and {two} have the same shapes, and neither order nor words tell which comes "
            "first. Rename the tensors in the file to the network's names."
        )
    chosen = direct or (tree.modules if tree is not None else ())
    return dict(_pairs(chosen, ours, state))


def _modules(shapes: Shapes) -> list[_Module]:
    found: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {}
    for name, shape in shapes.items():
        path, _, last = name.rpartition(".")
        if last != _COUNTER:
            found.setdefault(path, {})[_LAST.get(last.lower(), last)] = (name, tuple(shape))
    return [_Module(path, tensors) for path, tensors in found.items()]


def _headless(theirs: list[_Module], ours: list[_Module]) -> list[_Module]:
    """Without matrices of shapes that the network has fewer of: its head, and what is with it."""
    spare = [m.signature for m in ours]
    kept = []
    for module in theirs:
        if module.signature in spare:
            spare.remove(module.signature)
            kept.append(module)
        elif not any(len(shape) == 2 for _, shape in module.signature):
            kept.append(module)
    return kept


def _is_sorted(state: Candidate) -> bool:
    """Whether names are in the order of text, as safetensors has those of each kind of number."""
    kinds: dict[torch.dtype, list[str]] = {}
    for name, tensor in state.items():
        kinds.setdefault(tensor.dtype, []).append(name)
    return all(names == sorted(names) for names in kinds.values())


def _as_in_file(theirs: list[_Module], ours: list[_Module]) -> tuple[_Module, ...] | None:
    same = all(a.signature == b.signature for a, b in zip(theirs, ours, strict=True))
    return tuple(theirs) if same else None


def _laid_over(theirs: list[_Module], ours: list[_Module]) -> _Found | None:
    root = _Node()
    for module in theirs:
        node = root
        for step in module.path.split(".") if module.path else ():
            node = node.below.setdefault(step, _Node())
        node.own = module
    return _place(root, 0, ours, {})


def _place(
    node: _Node, start: int, ours: list[_Module], known: dict[tuple[int, int], _Found | None]
) -> _Found | None:
    """The best order of a subtree whose first module is the network's at `start`."""
    if not node.below:
        own = node.own
        if own is None:
            return _Found(0, None, ())
        fits = start < len(ours) and own.signature == ours[start].signature
        return _Found(len(own.words & ours[start].words), None, (own,)) if fits else None
    key = (id(node), start)
    if key not in known:
        known[key] = _merged(node.lanes, start, ours, known)
    return known[key]


def _merged(
    lanes: list[list[_Node]],
    start: int,
    ours: list[_Module],
    known: dict[tuple[int, int], _Found | None],
) -> _Found | None:
    """The best way to take turns between lanes; after each step only the best way so far counts."""
    ways = {((0,) * len(lanes), -1): _Found(0, None, ())}
    for _ in range(sum(map(len, lanes))):
        after: dict[tuple[tuple[int, ...], int], _Found] = {}
        for (taken, _last), so_far in ways.items():
            for turn, lane in enumerate(lanes):
                at = start + len(so_far.modules)
                found = None
                if taken[turn] < len(lane):
                    found = _place(lane[taken[turn]], at, ours, known)
                if found is not None:
                    ends = tuple(n + (lane_at == turn) for lane_at, n in enumerate(taken))
                    longer = _followed(so_far, found, ours[at - 1 : at + 1])
                    after[ends, turn] = _better(after.get((ends, turn)), longer)
        ways = after
    best: _Found | None = None
    for found in ways.values():
        best = _better(best, found)
    return best


def _followed(first: _Found, second: _Found, ours: list[_Module]) -> _Found:
    """One after the other; better where both sides or neither go on in the same parent module."""
    agreed = 0
    if first.modules and second.modules:
        there = _parent(first.modules[-1]) == _parent(second.modules[0])
        agreed = int(there == (_parent(ours[0]) == _parent(ours[1])))
    return _Found(
        first.score + second.score + agreed,
        first.tied or second.tied,
        first.modules + second.modules,
    )


def _parent(module: _Module) -> str:
    return module.path.rpartition(".")[0]


def _better(one: _Found | None, other: _Found) -> _Found:
    if one is None or other.score > one.score:
        return other
    if other.score < one.score or one.modules == other.modules:
        return one
    a, b = next(p for p in zip(one.modules, other.modules, strict=True) if p[0] is not p[1])
    return _Found(one.score, (a.path, b.path), one.modules)


def _differing(theirs: list[_Module], ours: list[_Module]) -> str:
    left = [m.signature for m in theirs]
    for module in ours:
        if module.signature not in left:
            shown = ", ".join(f"{end} {shape}" for end, shape in module.signature)
            return f"it has no further module with {shown}, as the network's {module.path}."
        left.remove(module.signature)
    return "the same shapes come in another order than in the network."


def _pairs(
    chosen: tuple[_Module, ...], ours: list[_Module], state: Candidate
) -> Iterator[tuple[str, str]]:
    for theirs, own in zip(chosen, ours, strict=True):
        for end, (name, _) in theirs.tensors.items():
            yield name, own.tensors[end][0]
        counter = f"{theirs.path}.{_COUNTER}".lstrip(".")
        if counter in state:
            yield counter, f"{own.path}.{_COUNTER}".lstrip(".")

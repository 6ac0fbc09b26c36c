"""Architectures whose tensors a checkpoint has in order and shape, under other names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.errors import ModelError
from ood_core.models.architectures import collection
from ood_core.models.checkpoints import read_checkpoint
from ood_core.models.input_channels import for_channels
from ood_core.models.key_order import in_order
from ood_core.models.known_shapes import NOT_BUILT, head_names, known_shapes
from ood_core.models.named_architectures import named_in_path, names_written
from ood_core.models.parts import named, parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ood_core.models.mismatch import Shapes
    from ood_core.models.parts import Candidate

__all__ = ["Renamed", "renamed_match", "said_by_file"]


@dataclass(frozen=True)
class Renamed:
    """A network that a checkpoint fits by order and shape.

    Parameters
    ----------
    architecture : its name.
    classes : number of classes; 0 for an encoder.
    names : name in the file -> name in the network, where they differ.
    """

    architecture: str
    classes: int
    names: Mapping[str, str] = field(default_factory=dict)


def renamed_match(
    path: Path, architectures: Sequence[str], part: str | None = None
) -> Renamed | None:
    """The first of some architectures that a checkpoint fits by order and shape.

    Raises
    ------
    ModelError
        When the file cannot be read or there is no such part.
    """
    found = parts(read_checkpoint(path))
    states = [one.state for one in (found if part is None else named(found, part))]
    for name in architectures:
        try:
            shapes, heads = known_shapes(name), head_names(name)
        except NOT_BUILT:
            continue
        for state in states:
            for classes, wanted in _sizes(state, shapes, heads):
                try:
                    names = in_order(state, wanted)
                except ModelError:
                    continue
                changed = {old: new for old, new in names.items() if old != new}
                return Renamed(name, classes, changed) if changed else None
    return None


def said_by_file(path: Path) -> list[str]:
    """Architectures of torchvision and timm that a file names, in it or in its own name.

    Raises
    ------
    ModelError
        When the file cannot be read.
    """
    written = names_written(path, read_checkpoint(path))
    said: list[str] = []
    for prefix in ("timm:", "torchvision:"):
        zoo = collection(prefix)
        try:
            names = zoo.names() if zoo is not None else ()
        except ModelError:
            continue  # it is not installed
        short = [name.removeprefix(prefix) for name in written]
        mine = [name for name in short if name in names] + named_in_path(path, list(names))[:2]
        twins = [f"tf_{name}" for name in mine if f"tf_{name}" in names]
        said += [f"{prefix}{name}" for name in dict.fromkeys(twins + mine)]
    return said


def _sizes(state: Candidate, shapes: Shapes, heads: frozenset[str]) -> Iterator[tuple[int, Shapes]]:
    """The network with each number of classes that the file may have, and without a head."""
    held = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for_images = for_channels(held, shapes)
    widths = {shapes[name][1:] for name in heads if len(shapes[name]) > 1}
    counts = {s[0] for s in held.values() if len(s) > 1 and s[1:] in widths}
    for classes in sorted(counts):
        grown = {k: (classes, *s[1:]) if k in heads else s for k, s in for_images.items()}
        yield classes, grown
    yield 0, {k: s for k, s in for_images.items() if k not in heads}

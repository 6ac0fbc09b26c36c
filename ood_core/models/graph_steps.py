"""A network as a list of steps: what its file's graph is read into, whatever wrote the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = [
    "BATCH", "DEVICE", "Block", "Held", "Program", "Ref", "Step", "cut", "fold", "refs",
    "with_any_batch",
]  # fmt: skip


@dataclass(frozen=True)
class Ref:
    """A value that an earlier step gave."""

    name: str


@dataclass(frozen=True)
class Held:
    """A tensor of the file: a parameter, buffer or constant."""

    name: str


@dataclass(frozen=True)
class _Device:
    """The device of the images, in place of the one that the network was written on."""


DEVICE = _Device()
BATCH = Ref("number of images")
"""How many images there are: a value that every pass begins with."""


@dataclass(frozen=True, eq=False)
class Block:
    """Steps of a branch or of a loop's body, with the values that go in and come out."""

    inputs: tuple[str, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Step:
    """One operation.

    Parameters
    ----------
    op : name of the operation, "aten.conv2d"; "if" and "loop" have blocks and no `call`.
    call : what computes it.
    args, kwargs : its arguments: numbers, texts, `Ref`, `Held`, `DEVICE`, lists of them.
    outputs : names of the values that it gives.
    several : whether what it returns is a sequence of these values.
    path : path of the module that it was written in.
    writes : whether it changes one of its arguments, or checks something: needed though unused.
    """

    op: str
    call: Callable[..., Any] | None
    args: tuple[Any, ...]
    outputs: tuple[str, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    several: bool = False
    path: str = ""
    writes: bool = False
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, eq=False)
class Program:
    """A whole network.

    Parameters
    ----------
    images : name of the value that the images are.
    steps : in the order in which they run.
    outputs : what it returns, by name; "" where it returns one tensor.
    tensors : the file's tensors by their path in the network.
    buffers : those of them that are not parameters.
    shape : sizes of the images that it was written for (n, c, h, w), None for any size; None
        where the file does not say.
    sequences : paths of modules that only run others one after another (`nn.Sequential`).
    """

    images: str
    steps: tuple[Step, ...]
    outputs: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    buffers: frozenset[str] = frozenset()
    shape: tuple[int | None, ...] | None = None
    sequences: frozenset[str] = frozenset()


def refs(value: Any) -> Iterator[str]:
    """Names of the values in an argument, or in the arguments and blocks of a step."""
    return (one.name for one in _leaves(value) if isinstance(one, Ref))


def cut(program: Program, outputs: dict[str, Any]) -> Program:
    """The part of a program that these outputs need."""
    wanted = set(refs(outputs))
    made = [i for i, step in enumerate(program.steps) if wanted & set(step.outputs)]
    kept: list[Step] = []
    for step in reversed(program.steps[: max(made, default=-1) + 1]):
        if step.writes or wanted & set(step.outputs):
            kept.append(step)
            wanted |= set(refs(step))
    return replace(program, steps=tuple(reversed(kept)), outputs=outputs)


def fold(program: Program) -> Program:
    """The program with everything computed that does not depend on the images.

    Transposed, cast or normalised weights become tensors, so that the head is a product with one.
    """
    import torch

    known: dict[str, Held] = {}
    tensors = dict(program.tensors)
    written = {name for step in all_steps(program.steps) if step.writes for name in held(step.args)}

    def replaced(value: Any) -> Any:
        return known.get(value.name, value) if isinstance(value, Ref) else value

    kept = []
    for step in program.steps:
        step = _with(step, replaced)
        needed = set(held(step))
        fixed = bool(needed) and not step.blocks and not any(True for _ in refs(step))
        fixed = fixed and not step.writes and not needed & written
        if not fixed or step.several or step.call is None or not step.op.startswith("aten."):
            kept.append(step)
            continue
        args, kwargs = _values([step.args, step.kwargs], tensors)
        with torch.no_grad():
            made = step.call(*args, **kwargs)
        if not torch.is_tensor(made):
            kept.append(step)
            continue
        name = ".".join(part for part in (step.path, step.outputs[0]) if part)
        tensors[name], known[step.outputs[0]] = made, Held(name)
    outputs = {key: replaced(value) for key, value in program.outputs.items()}
    return replace(program, steps=tuple(kept), outputs=outputs, tensors=tensors)


def with_any_batch(program: Program, images: int) -> Program:
    """A program written for one number of images, rewritten for any; to be held against it.

    Sizes that begin with that number are left to be worked out (reshape) or follow the images.
    """
    moving = {program.images}
    steps = []
    for step in program.steps:
        if moving & set(refs(step)):
            moving |= set(step.outputs)
        steps.append(_any_batch(step, images, moving))
    shape = None if program.shape is None else (None, *program.shape[1:])
    return replace(program, steps=tuple(steps), shape=shape)


_RESHAPES = ("aten.view", "aten.reshape", "aten._unsafe_view")
_SIZED = {"aten.expand": 1, "aten.repeat": 1, "aten.new_zeros": 1, "aten.new_ones": 1,
          "aten.new_full": 1, "aten.zeros": 0, "aten.ones": 0, "aten.full": 0}  # fmt: skip


def _any_batch(step: Step, images: int, moving: set[str]) -> Step:
    place = 1 if step.op in _RESHAPES else _SIZED.get(step.op)
    if place is None or len(step.args) <= place:
        return step
    sizes = step.args[place]
    if not isinstance(sizes, (list, tuple)) or not sizes or type(sizes[0]) is not int:
        return step
    depends = bool(moving & set(refs(step)))
    if step.op in _RESHAPES and depends and -1 not in sizes and sizes[0] % images == 0:
        new: list[Any] = [-1, *sizes[1:]]
    elif sizes[0] == images and (depends or step.op not in _RESHAPES):
        if step.op == "aten.repeat" and depends:
            return step
        new = [BATCH, *sizes[1:]]
    else:
        return step
    args = (*step.args[:place], new, *step.args[place + 1 :])
    moving |= set(step.outputs)
    return replace(step, args=args)


def all_steps(steps: Sequence[Step]) -> Iterator[Step]:
    """Steps, and those in their blocks."""
    for step in steps:
        yield step
        for block in step.blocks:
            yield from all_steps(block.steps)


def held(value: Any) -> Iterator[str]:
    """Names of the file's tensors in an argument, or in the arguments and blocks of a step."""
    return (one.name for one in _leaves(value) if isinstance(one, Held))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Step):
        value = [value.args, value.kwargs, value.blocks]
    elif isinstance(value, Block):
        value = [value.steps, value.outputs]
    elif isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _with(value: Any, change: Callable[[Any], Any]) -> Any:
    """A step, block or argument with every `Ref` and `Held` in it changed."""
    if isinstance(value, (list, tuple)):
        return type(value)(_with(inner, change) for inner in value)
    if isinstance(value, dict):
        return {key: _with(inner, change) for key, inner in value.items()}
    if isinstance(value, Step):
        args, kwargs, blocks = _with([value.args, value.kwargs, value.blocks], change)
        return replace(value, args=args, kwargs=kwargs, blocks=blocks)
    if isinstance(value, Block):
        steps, outputs = _with([value.steps, value.outputs], change)
        return replace(value, steps=steps, outputs=outputs)
    return change(value)


def _values(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    import torch

    return _with(
        value,
        lambda one: (
            tensors[one.name]
            if isinstance(one, Held)
            else torch.device("cpu")
            if one is DEVICE
            else one
        ),
    )

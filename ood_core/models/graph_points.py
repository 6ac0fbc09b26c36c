"""Where a graph can be watched: the outputs of its modules, activations and residual sums."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ood_core.models.graph_steps import Held, Program, Ref, Step, refs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

__all__ = ["ACTIVATIONS", "Linear", "Points", "find_points", "linear_map", "module_name"]

ACTIVATIONS = frozenset(
    f"aten.{name}{end}"
    for end in ("", "_")
    for name in (
        "relu", "relu6", "hardtanh", "gelu", "silu", "mish", "elu", "selu", "celu", "leaky_relu",
        "prelu", "rrelu", "hardswish", "hardsigmoid", "sigmoid", "tanh", "softplus", "threshold",
        "softmax", "_softmax", "log_sigmoid", "softsign",
    )
)  # fmt: skip
_RESERVED = ("training", "found", "is_activation")
_SIZES = ("aten.sym_size", "py.aten::size", "py.aten::dim", "py.aten::len", "py.prim::dtype",
          "py.prim::device")  # fmt: skip
_SUMS = ("aten.add", "aten.add_", "aten.cat")


@dataclass(frozen=True)
class Linear:
    """A step that is a linear map of one value: `weight` (out, in) or (out, in, 1, 1)."""

    given: Ref
    weight: Held
    bias: Held | None
    transposed: bool = False


@dataclass(frozen=True)
class Points:
    """Names of modules at which values can be watched.

    Parameters
    ----------
    modules : name of the module -> value that it shows.
    activations : those whose value is the output of an activation function, or a residual sum of
        a graph that names no modules.
    values : name under which `features` may name a value -> the value.
    """

    modules: dict[str, str]
    activations: frozenset[str]
    values: dict[str, str]


def find_points(program: Program) -> Points:
    """Where values of the program's own steps, outside branches and loops, can be watched."""
    modules = _module_outputs(program)
    by_value: dict[str, list[str]] = defaultdict(list)
    for name, value in modules.items():
        by_value[value].append(name)
    named = any(step.path for step in program.steps)
    users: dict[str, set[str]] = defaultdict(set)
    for step in program.steps:
        for name in refs(step):
            users[name].add(step.op)
    activations, values, seen = set(), {}, set(modules)
    for step in program.steps:
        if step.several or len(step.outputs) != 1 or step.blocks:
            continue
        value = step.outputs[0]
        path = _path(step.path)
        own = _unused(".".join(p for p in (path, module_name(value)) if p), seen)
        values[own] = values[value] = value
        residual = not named and step.op in _SUMS and len(set(refs(step))) > 1
        residual = residual and not (users[value] and users[value] <= ACTIVATIONS)
        if step.op in ACTIVATIONS or residual:
            again = re.compile(rf"{re.escape(path)}(_\d+)?")
            leaf = next((n for n in by_value[value] if again.fullmatch(n)), own)
            modules[leaf] = value
            seen.add(leaf)
            activations.add(leaf)
    return Points(modules, frozenset(activations), {**values, **modules})


def _module_outputs(program: Program) -> dict[str, str]:
    """Path of a module that ran once -> the one value of it that is used elsewhere."""
    runs: dict[str, list[list[int]]] = defaultdict(list)
    for place, path in enumerate(_paths(program.steps)):
        parts = path.split(".") if path else []
        for depth in range(1, len(parts) + 1):
            own = runs[".".join(parts[:depth])]
            if own and own[-1][-1] == place - 1:
                own[-1].append(place)
            else:
                own.append([place])
    users: dict[str, list[int]] = defaultdict(list)
    for place, step in enumerate(program.steps):
        for name in refs(step):
            users[name].append(place)
    for name in refs(program.outputs):
        users[name].append(len(program.steps))
    found = {}
    for path, calls in runs.items():
        for number, places in enumerate(calls):
            value = _one_output(program.steps, places, users)
            if value is not None:
                found[f"{_path(path)}_{number}" if number else _path(path)] = value
    return found


def _paths(steps: Sequence[Step]) -> list[str]:
    """Paths of steps; checks and sizes belong to the module around them, which they do not end."""
    paths = [step.path for step in steps]
    tensors = [step.op.startswith("aten.") for step in steps]
    after = ""
    following = [""] * len(steps)
    for place in reversed(range(len(steps))):
        following[place] = after
        after = paths[place] if tensors[place] else after
    before = ""
    for place, tensor in enumerate(tensors):
        if tensor:
            before = paths[place]
            continue
        around = common([before, following[place]])
        if len(around) > len(paths[place]) and before:
            paths[place] = around
    return paths


def common(paths: Sequence[str]) -> str:
    """Path of the innermost module that all of these lie in."""
    split = [path.split(".") if path else [] for path in paths]
    same = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*split, strict=False))
    return ".".join(parts[0] for parts in same)


def _one_output(
    steps: Sequence[Step], places: list[int], users: dict[str, list[int]]
) -> str | None:
    inside = set(places)
    out = [
        name
        for place in places
        for name in steps[place].outputs
        if set(users.get(name, ())) - inside and not _only_sizes(steps, users[name], inside)
    ]
    return out[0] if len(out) == 1 else None


def _only_sizes(steps: Sequence[Step], users: list[int], inside: set[int]) -> bool:
    outside = [place for place in users if place not in inside]
    return all(place < len(steps) and steps[place].op in _SIZES for place in outside)


def linear_map(step: Step, tensors: dict[str, torch.Tensor]) -> Linear | None:
    """What linear map of a value a step is; None where it is none with fixed weights."""
    args = step.args
    if step.kwargs:
        return None
    if step.op in ("aten.linear", "aten.conv2d") and len(args) >= 2:
        bias = args[2] if len(args) > 2 else None
        found = _linear(args[0], args[1], bias)
        plain = step.op == "aten.linear" or _one_by_one(args, tensors)
        return found if found and plain else None
    if step.op in ("aten._convolution", "aten.convolution") and len(args) >= 9:
        found = _linear(args[0], args[1], args[2])
        flat = len(args[3]) == 2 and not args[6] and not any(args[7])
        return found if found and flat and _one_by_one((*args[:6], args[8]), tensors) else None
    if step.op == "aten.addmm" and len(args) == 3:
        return _linear(args[1], args[2], args[0], transposed=True)
    if step.op in ("aten.mm", "aten.matmul") and len(args) == 2:
        found = _linear(args[0], args[1], None, transposed=True)
        return found if found and tensors[found.weight.name].ndim == 2 else None
    return None


def _linear(given: Any, weight: Any, bias: Any, transposed: bool = False) -> Linear | None:
    fits = isinstance(given, Ref) and isinstance(weight, Held)
    if not fits or not (bias is None or isinstance(bias, Held)):
        return None
    return Linear(given, weight, bias, transposed)


def _one_by_one(args: Sequence[Any], tensors: dict[str, torch.Tensor]) -> bool:
    """Whether (x, weight, bias, stride, padding, dilation, groups) is a map of each position."""
    weight = tensors[args[1].name] if isinstance(args[1], Held) else None
    if weight is None or weight.ndim != 4 or tuple(weight.shape[2:]) != (1, 1):
        return False
    stride, padding, _, groups = (*args, *(None, 1, 0, 1, 1)[len(args) - 2 :])[3:7]
    return _each(stride, 1) and _each(padding, 0) and groups == 1


def _each(value: Any, number: int) -> bool:
    return all(v == number for v in (value if isinstance(value, (list, tuple)) else [value]))


def module_name(part: str) -> str:
    """A part of a path as a module may be called: no attribute that modules have themselves."""
    from torch import nn

    plain = re.sub(r"\W+", "_", part) or "_"
    return f"{plain}_" if hasattr(nn.Module, plain) or plain in _RESERVED else plain


def _path(path: str) -> str:
    return ".".join(map(module_name, path.split("."))) if path else ""


def _unused(name: str, taken: set[str]) -> str:
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found

"""The modules of a network that a graph says: they hold its tensors and show its values."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn

from ood_core.models.graph_points import Linear, linear_map, module_name
from ood_core.models.graph_steps import Program, Step, held

__all__ = ["Part", "add_linear_maps", "add_tensors", "part_at"]

Places = dict[str, tuple[str, str]]
"""Name of a tensor in the file -> path of the module that holds it, and its name there."""


class Part(nn.Module):
    """A module of the network: it holds its tensors and hands on the value that it shows."""

    is_activation = False

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """The value itself: hooks see it, and may put another in its place."""
        return value


class _Sequence(Part, nn.Sequential):
    """A `Part` that runs others one after another."""


def part_at(root: nn.Module, path: str, sequences: frozenset[str] = frozenset()) -> nn.Module:
    """The module at a path, made with those above it where it is not there yet."""
    module, walked = root, ""
    for piece in path.split(".") if path else ():
        walked = f"{walked}.{piece}" if walked else piece
        if piece not in module._modules:
            module.add_module(piece, _Sequence() if walked in sequences else Part())
        module = module.get_submodule(piece)
    return module


def add_tensors(root: nn.Module, program: Program) -> Places:
    """Give each tensor that the program needs to the module of its path."""
    places = {}
    for full in sorted(set(held([program.steps, program.outputs]))):
        *above, name = (module_name(part) for part in full.split("."))
        owner = ".".join(above)
        part = part_at(root, owner, program.sequences)
        while name in part._modules or hasattr(part, name):
            name += "_"
        tensor = program.tensors[full].detach()
        if full in program.buffers or not tensor.is_floating_point():
            part.register_buffer(name, tensor)
        else:
            part.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
        places[full] = owner, name
    return places


def add_linear_maps(
    root: nn.Module, program: Program, places: Places
) -> dict[str, tuple[str, str]]:
    """Make each linear map with fixed weights the module that tracing takes for a head.

    Returns
    -------
    Name of the map's output -> path of its module, name of the value that it is given.
    """
    uses = Counter(held(program.steps))
    found = {}
    for step in program.steps:
        linear = linear_map(step, program.tensors)
        if linear is not None:
            path = _own_path(root, program, places, step, linear, uses)
            parent, _, last = path.rpartition(".")
            part_at(root, parent, program.sequences)._modules[last] = _as_module(
                linear, *(_at(root, places[one.name]) if one else None
                          for one in (linear.weight, linear.bias))
            )  # fmt: skip
            found[step.outputs[0]] = path, linear.given.name
    return found


def _own_path(
    root: nn.Module, program: Program, places: Places, step: Step, linear: Linear,
    uses: Counter[str],
) -> str:  # fmt: skip
    """The module of its weight where that is all there is in it, else one within or beside it."""
    owner, name = places[linear.weight.name]
    part = part_at(root, owner)
    names = {name} | ({places[linear.bias.name][1]} if linear.bias else set())
    all_of_it = names == {*part._parameters, *part._buffers} <= {"weight", "bias"}
    same = linear.bias is None or places[linear.bias.name][0] == owner
    once = uses[linear.weight.name] == 1 and not linear.transposed
    if owner and once and same and all_of_it and not part._modules:
        return owner
    above = ".".join(map(module_name, step.path.split("."))) if step.path else ""
    last = module_name(step.outputs[0])
    while hasattr(part_at(root, above, program.sequences), last):
        last += "_"
    return f"{above}.{last}" if above else last


def _at(root: nn.Module, place: tuple[str, str]) -> torch.Tensor:
    tensor: torch.Tensor = getattr(root.get_submodule(place[0]), place[1])
    return tensor


def _as_module(linear: Linear, weight: Any, bias: Any) -> nn.Module:
    if linear.transposed:
        weight = weight.t()
    module: Any
    with torch.device("meta"):
        if weight.ndim == 4:
            module = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
        else:
            module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    module.weight = nn.Parameter(weight, requires_grad=False)
    module.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
    made: nn.Module = module
    return made

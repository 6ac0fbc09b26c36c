"""The graph of a torch.export program, read from its JSON with PyTorch's operators alone.

`torch.export.load` unpickles members of the archive, evaluates the texts of symbolic sizes and
looks up any name below `torch` that a node asks for: each can run code. Here a node is one of the
operators below or the file is refused, sizes are read off the images, and texts stay texts.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from ood_core.errors import ModelError
from ood_core.models.graph_steps import DEVICE, Held, Program, Ref, Step
from ood_core.models.network_files._treespec import leaf_names

__all__ = ["DTYPES", "read_graph"]

DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64,
    6: torch.float16, 7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
"""`ScalarType` of torch._export.serde.schema."""
_FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d,
            4: torch.preserve_format}  # fmt: skip
_NUMBERS = {f"_operator.{name}": getattr(operator, name) for name in (
    "add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pos", "pow", "and_", "or_",
    "eq", "ne", "lt", "le", "gt", "ge", "not_", "getitem",
)} | {f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc", "sqrt")} | {
    f"torch.{name}": getattr(torch, name) for name in (
    "sym_int", "sym_float", "sym_max", "sym_min", "sym_not", "sym_ite")
}  # fmt: skip
_CHECKS = ("_assert", "sym_constrain_range")
_GRAD_MODE = "torch.ops.higher_order.wrap_with_set_grad_enabled"


def read_graph(
    content: Mapping[str, Any], tensors: dict[str, torch.Tensor], parameters: set[str]
) -> Program:
    """The program of `models/NAME.json`.

    Parameters
    ----------
    content : the JSON.
    tensors : the archive's tensors by the names that the graph's signature has.
    parameters : those of them that are parameters.

    Raises
    ------
    ModelError
        When a node is no operator of PyTorch, or the program has not one input of images.
    KeyError, TypeError, ValueError
        When the JSON is damaged.
    """
    module = content["graph_module"]
    graph = module["graph"]
    known: dict[str, Any] = {}
    images: list[str] = []
    for spec in module["signature"]["input_specs"]:
        _input(spec, known, images, tensors)
    if len(images) != 1:
        raise ModelError(
            f"the program takes {len(images)} inputs. Only one is possible, the images: export "
            "the network in a module whose forward takes images alone."
        )
    known[images[0]] = Ref(images[0])
    steps = tuple(_steps(graph, known))
    outputs = _outputs(module, graph, known)
    told = graph["tensor_values"][images[0]]
    if not DTYPES[told["dtype"]].is_floating_point:
        raise ModelError(
            "the program takes images as whole numbers (bytes of 0 to 255). Images come as real "
            "numbers here: export a module whose forward takes those of 0 to 1 and begins with "
            "(images * 255).round().to(torch.uint8), and leave mean and std out of [preprocessing]."
        )
    sizes = told["sizes"]
    return Program(
        images[0], steps, outputs, tensors, frozenset(tensors) - parameters,
        tuple(size.get("as_int") for size in sizes), _sequences(graph),
    )  # fmt: skip


def _input(
    spec: Mapping[str, Any], known: dict[str, Any], images: list[str],
    tensors: dict[str, torch.Tensor],
) -> None:  # fmt: skip
    ((kind, held),) = spec.items()
    if kind == "user_input":
        arg = held["arg"]
        if "as_tensor" not in arg:
            raise ModelError("the program takes an input that is no tensor of images.")
        images.append(arg["as_tensor"]["name"])
    elif kind in ("parameter", "buffer", "tensor_constant"):
        name = held[f"{kind}_name"]
        if name not in tensors:
            raise ModelError(f"the program needs the tensor {name!r}, which its file lacks.")
        known[held["arg"]["name"]] = Held(name)
    elif kind == "constant_input":
        known[held["name"]] = next(iter(held["value"].values()))
    else:
        raise ModelError(
            f"the program has an input of the kind {kind!r} (objects of a class of its own, such "
            "as packed quantised weights), which is not opened. Export the float network."
        )


def _outputs(module: Mapping[str, Any], graph: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    specs = [next(iter(s)) for s in module["signature"]["output_specs"]]
    values = [_value(value, known) for value in graph["outputs"]]
    own = [v for kind, v in zip(specs, values, strict=True) if kind == "user_output"]
    text = module["module_call_graph"][0]["signature"]["out_spec"]
    names = leaf_names(text, len(own))
    return dict(zip(names, own, strict=True))


def _steps(graph: Mapping[str, Any], known: dict[str, Any]) -> list[Step]:
    steps = []
    for node in graph["nodes"]:
        target = node["target"]
        if target == _GRAD_MODE:
            steps += _inlined(node, known)
        elif not target.removeprefix("torch.ops.aten.").startswith(_CHECKS):
            steps.append(_step(node, known))
    return steps


def _step(node: Mapping[str, Any], known: dict[str, Any]) -> Step:
    target = node["target"]
    call = _NUMBERS.get(target)
    op = target
    schema = None
    if call is None:
        call, op = _operator(target)
        schema = call._schema  # type: ignore[attr-defined]
    args, kwargs = _arguments(node["inputs"], schema, known)
    names, several = _names(node["outputs"])
    for name in names:
        known[name] = Ref(name)
    writes = bool(schema and schema.is_mutable)
    return Step(op, call, args, names, kwargs, several, _path(node), writes)


def _operator(target: str) -> tuple[Callable[..., Any], str]:
    """An operator of ATen that touches nothing but tensors, and its name without overload."""
    prefix, _, rest = target.partition("torch.ops.aten.")
    name, _, overload = rest.partition(".")
    packet = getattr(torch.ops.aten, name, None) if not prefix and name.isidentifier() else None
    found = getattr(packet, overload, None) if packet is not None and overload else None
    if not isinstance(found, torch._ops.OpOverload) or _touches_files(found):
        raise ModelError(
            f"the program calls {target!r}, which is not one of PyTorch's own tensor operators: "
            "it is not run. Export the network without custom operators, control flow "
            "(torch.cond) and autocast."
        )
    return found, f"aten.{name}"


def _touches_files(found: torch._ops.OpOverload) -> bool:
    return any("file" in argument.name for argument in found._schema.arguments)


def _arguments(
    inputs: list[Any], schema: Any, known: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if schema is None:
        return tuple(_value(given["arg"], known) for given in inputs), {}
    named = {given["name"]: _value(given["arg"], known) for given in inputs}
    args: list[Any] = []
    gap = False
    kwargs = {}
    for argument in schema.arguments:
        optional = argument.has_default_value()
        gap = gap or argument.kwarg_only or not (argument.name in named or optional)
        if not gap:
            args.append(named.pop(argument.name, argument.default_value))
        elif argument.name in named:
            kwargs[argument.name] = named.pop(argument.name)
    if named:
        raise ModelError(f"the program gives {schema.name} the unknown arguments {list(named)}.")
    return tuple(args), kwargs


def _value(arg: Any, known: Mapping[str, Any]) -> Any:
    ((kind, value),) = arg.items()
    if kind in ("as_tensor", "as_tensors", "as_optional_tensors", "as_optional_tensor",
                "as_nested_tensors"):  # fmt: skip
        return _tensors(value, known)
    if kind.startswith("as_sym_"):
        one = [_symbol(v, known) for v in (value if isinstance(value, list) else [value])]
        return one if isinstance(value, list) else one[0]
    if kind == "as_none":
        return None
    if kind in ("as_int", "as_bool", "as_string", "as_ints", "as_bools", "as_strings"):
        return value
    if kind in ("as_float", "as_floats"):
        return [float(v) for v in value] if isinstance(value, list) else float(value)
    if kind == "as_scalar_type":
        return DTYPES[value]
    if kind == "as_memory_format":
        return _FORMATS[value]
    if kind == "as_layout":
        return torch.strided
    if kind == "as_device":
        return DEVICE
    raise ModelError(
        f"the program has an argument of the kind {kind!r}, which is not opened. Export the "
        "network without control flow (torch.cond), autocast and objects of own classes."
    )


def _tensors(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_tensors(inner, known) for inner in value]
    inner = value.get("as_tensor", value)
    return None if "as_none" in inner else known[inner["name"]]


def _symbol(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        ((kind, inner),) = value.items()
        return known[inner] if kind == "as_name" else inner
    return value


def _names(outputs: list[Any]) -> tuple[tuple[str, ...], bool]:
    """Names of what a node gives, and whether it gives a sequence of them."""
    if not outputs:
        return (), False
    if len(outputs) == 1 and "as_tensors" in outputs[0]:
        return tuple(one["name"] for one in outputs[0]["as_tensors"]), True
    names = []
    for place, output in enumerate(outputs):
        ((kind, value),) = output.items()
        known = value.get("name") or value.get("as_name") if isinstance(value, Mapping) else None
        names.append(known or f"unnamed {kind} {place}")
    return tuple(names), len(outputs) > 1


def _inlined(node: Mapping[str, Any], known: dict[str, Any]) -> list[Step]:
    """Steps of a part that ran under `torch.no_grad`: gradients make no difference to values."""
    _, inner, *given = [one["arg"] for one in node["inputs"]]
    graph = inner["as_graph"]["graph"]
    own = dict(known)
    for placeholder, value in zip(graph["inputs"], given, strict=True):
        own[placeholder["as_tensor"]["name"]] = _value(value, known)
    before = {name: value for name, value in own.items() if isinstance(value, Ref)}
    # Names of the part are its own: they may be the same as names outside.
    prefix = f"{node.get('name') or 'part'}."
    steps = [_renamed(step, prefix, before) for step in _steps(graph, own)]
    names, _ = _names(node["outputs"])
    for name, output in zip(names, graph["outputs"], strict=True):
        value = _value(output, own)
        inside = isinstance(value, Ref) and before.get(value.name) != value
        known[name] = Ref(prefix + value.name) if inside else value
    return steps


def _renamed(step: Step, prefix: str, before: Mapping[str, Ref]) -> Step:
    def change(value: Any) -> Any:
        if isinstance(value, Ref):
            return value if value in before.values() else Ref(prefix + value.name)
        if isinstance(value, (list, tuple)):
            return type(value)(change(inner) for inner in value)
        return value

    kwargs = {key: change(value) for key, value in step.kwargs.items()}
    names = tuple(prefix + name for name in step.outputs)
    return replace(step, args=change(step.args), kwargs=kwargs, outputs=names)


def _sequences(graph: Mapping[str, Any]) -> frozenset[str]:
    """Paths of the modules that the graph says are sequences of others."""
    stacks = {n.get("metadata", {}).get("nn_module_stack", "") for n in graph["nodes"]}
    entries = (entry.split(",") for stack in stacks for entry in stack.split(";"))
    return frozenset(
        entry[1].partition("@")[0]
        for entry in entries
        if len(entry) > 2 and entry[2] == "torch.nn.modules.container.Sequential"
    )


def _path(node: Mapping[str, Any]) -> str:
    """Path of the module that a node was written in: the last of `key,path,type;…`."""
    stack = node.get("metadata", {}).get("nn_module_stack", "")
    last = stack.rpartition(";")[2].split(",")
    path = last[1] if len(last) > 2 else ""
    return "" if path.startswith("_empty_nn_module_stack") else path.partition("@")[0]

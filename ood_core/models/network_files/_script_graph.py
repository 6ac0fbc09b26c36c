"""The graph of a TorchScript file as steps, with the names of the modules that it was made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ood_core.errors import ModelError
from ood_core.models.graph_points import common
from ood_core.models.graph_steps import DEVICE, Block, Held, Program, Ref, Step
from ood_core.models.network_files._script_nodes import bound, call_of
from ood_core.models.network_files._script_operators import WRITES

__all__ = ["read_script"]


@dataclass(frozen=True)
class _Module:
    """A module of the file, met while its graph is read."""

    path: str
    module: Any


@dataclass(frozen=True)
class _Function:
    """A function that was inlined: nothing calls it any more."""


def read_script(script: Any) -> Program:
    """The program of a loaded `torch.jit.ScriptModule` in eval mode; nothing of it runs.

    Raises
    ------
    ModelError
        When it calls what is not an operator of PyTorch, or has not one input.
    """
    graph = script.inlined_graph
    inputs = list(graph.inputs())
    if len(inputs) != 2:
        raise ModelError(
            f"it takes {len(inputs) - 1} inputs. Only one is possible, the images: save a module "
            "whose forward takes images alone."
        )
    reader = _Reader(graph)
    reader.known[inputs[0].debugName()] = _Module("", script)
    reader.known[inputs[1].debugName()] = Ref("images")
    steps = reader.steps(graph)
    outputs = [reader.known[value.debugName()] for value in graph.outputs()]
    named = dict(_outputs(outputs[0] if len(outputs) == 1 else tuple(outputs), "", steps))
    parameters = {name for name, _ in script.named_parameters()}
    sequences = (p for p, m in script.named_modules() if m.original_name == "Sequential")
    return Program(
        "images", tuple(steps), named, reader.tensors, frozenset(reader.tensors) - parameters,
        sequences=frozenset(sequences),
    )  # fmt: skip


def _outputs(value: Any, name: str, steps: Sequence[Step]) -> list[tuple[str, Any]]:
    """Outputs by name: places of tuples and lists, keys of dicts, with dots between."""
    made = {out: step for step in steps for out in step.outputs}
    step = made.get(value.name) if isinstance(value, Ref) else None
    inner = []
    if isinstance(value, (list, tuple)):
        inner = [(str(place), one) for place, one in enumerate(value)]
    elif step is not None and step.op in ("py.prim::TupleConstruct", "py.prim::ListConstruct"):
        inner = [(str(place), one) for place, one in enumerate(step.args)]
    elif step is not None and step.op == "py.prim::DictConstruct":
        inner = [(str(k), v) for k, v in zip(step.args[::2], step.args[1::2], strict=True)]
    else:
        return [(name, value)]
    return [o for key, v in inner for o in _outputs(v, f"{name}.{key}" if name else key, steps)]


class _Reader:
    """Turns nodes into steps; what is known already is worked out at once."""

    def __init__(self, graph: Any) -> None:
        self.known: dict[str, Any] = {}
        self.tensors: dict[str, torch.Tensor] = {}
        self._names: dict[str, int] = {}
        changed = [n for kind in WRITES for n in graph.findAllNodes(kind)]
        self._changed = {next(iter(n.inputs())).debugName() for n in changed}

    def steps(self, block: Any) -> list[Step]:
        """Steps of a graph or block."""
        found: list[Step] = []
        for node in block.nodes():
            path = _path(node)
            found += self._node(node, path)
        return found

    def _node(self, node: Any, path: str) -> list[Step]:
        kind = node.kind()
        if kind == "prim::Constant":
            self.known[node.output().debugName()] = self._constant(node, path)
            return []
        if kind == "prim::GetAttr":
            self.known[node.output().debugName()] = self._attribute(node)
            return []
        if kind == "prim::If":
            return self._if(node, path)
        if kind == "prim::Loop":
            return self._loop(node, path)
        args = [self.known[value.debugName()] for value in node.inputs()]
        if any(isinstance(a, (_Module, _Function)) for a in args):
            raise ModelError(
                f"it calls {kind} on a module or function of its own, which could not be inlined. "
                "Save it with torch.jit.trace, or write it with torch.export."
            )
        outputs = [value.debugName() for value in node.outputs()]
        call, dispatched = call_of(node)
        lasting = not any(name in self._changed for name in outputs) and kind not in WRITES
        if lasting and not dispatched and _settled(args) and kind != "prim::RaiseException":
            return self._at_once(node, call, args, outputs)
        positional, named = bound(node, args) if dispatched else (tuple(args), {})
        names = tuple(self._named(node, name) for name in outputs)
        several = kind in ("prim::ListUnpack", "prim::TupleUnpack") or len(outputs) > 1
        writes = kind in WRITES or kind in ("prim::RaiseException",) or _mutates(call)
        op = f"aten.{kind.removeprefix('aten::')}" if dispatched else f"py.{kind}"
        return [Step(op, call, positional, names, named, several, path, writes)]

    def _at_once(
        self, node: Any, call: Callable[..., Any], args: list[Any], outputs: list[str]
    ) -> list[Step]:
        result = call(*args)
        several = node.kind() in ("prim::ListUnpack", "prim::TupleUnpack")
        values = list(result) if several else [result] * len(outputs)
        self.known |= dict(zip(outputs, values, strict=True))
        return []

    def _named(self, node: Any, debug: str) -> str:
        """A name of the value that says what made it: `relu`, `relu_1`."""
        base = node.kind().partition("::")[2].strip("_") or "value"
        number = self._names.get(base, 0)
        self._names[base] = number + 1
        name = f"{base}_{number}" if number else base
        self.known[debug] = Ref(name)
        return name

    def _constant(self, node: Any, path: str) -> Any:
        value = node.output()
        if value.type().kind() == "FunctionType":
            return _Function()
        found = value.toIValue()
        if value.type().kind() == "DeviceObjType":
            return DEVICE
        return self._without_tensors(found, path)

    def _without_tensors(self, value: Any, path: str) -> Any:
        if torch.is_tensor(value):
            name = f"{path}.constant" if path else "constant"
            number = sum(known.startswith(name) for known in self.tensors)
            self.tensors[f"{name}_{number}"] = _plain(value)
            return Held(f"{name}_{number}")
        if isinstance(value, (list, tuple)):
            return type(value)(self._without_tensors(one, path) for one in value)
        if isinstance(value, (torch.ScriptObject, torch.jit.ScriptModule)):
            raise _own_class()
        return value

    def _attribute(self, node: Any) -> Any:
        owner = self.known[next(iter(node.inputs())).debugName()]
        if not isinstance(owner, _Module):
            raise _own_class()
        name = node.s("name")
        path = f"{owner.path}.{name}" if owner.path else name
        value = getattr(owner.module, name)
        if isinstance(value, torch.jit.ScriptModule):
            return _Module(path, value)
        if torch.is_tensor(value):
            self.tensors[path] = _plain(value)
            return Held(path)
        return self._without_tensors(value, owner.path)

    def _if(self, node: Any, path: str) -> list[Step]:
        condition = self.known[next(iter(node.inputs())).debugName()]
        blocks = list(node.blocks())
        outputs = [value.debugName() for value in node.outputs()]
        if not isinstance(condition, Ref):
            block = blocks[0 if condition else 1]
            steps = self.steps(block)
            results = [self.known[value.debugName()] for value in block.outputs()]
            self.known |= dict(zip(outputs, results, strict=True))
            return steps
        made = [self._block(block, ()) for block in blocks]
        names = tuple(self._named(node, name) for name in outputs)
        path = path or common([step.path for block in made for step in block.steps])
        # A check has no steps that say where it stands: it belongs to what it checks.
        path = path or _path(next(iter(node.inputs())).node())
        return [Step("if", None, (condition,), names, path=path, writes=True, blocks=tuple(made))]

    def _loop(self, node: Any, path: str) -> list[Step]:
        args = tuple(self.known[value.debugName()] for value in node.inputs())
        (block,) = node.blocks()
        inner = []
        for value in block.inputs():
            name = f"loop {value.debugName()}"
            self.known[value.debugName()] = Ref(name)
            inner.append(name)
        made = self._block(block, tuple(inner))
        names = tuple(self._named(node, value.debugName()) for value in node.outputs())
        path = path or common([step.path for step in made.steps])
        return [Step("loop", None, args, names, path=path, writes=True, blocks=(made,))]

    def _block(self, block: Any, inputs: tuple[str, ...]) -> Block:
        steps = self.steps(block)
        outputs = tuple(self.known[value.debugName()] for value in block.outputs())
        return Block(inputs, tuple(steps), outputs)


def _settled(value: Any) -> bool:
    """Whether a value is known before any image: no tensor, module or device in it."""
    if isinstance(value, (list, tuple)):
        return all(map(_settled, value))
    unsettled = (Ref, Held, _Module, _Function)
    return not isinstance(value, unsettled) and value is not DEVICE and not torch.is_tensor(value)


def _mutates(call: Any) -> bool:
    schema = getattr(call, "_schema", None)
    return bool(schema is not None and schema.is_mutable)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_quantized or tensor.is_mkldnn or tensor.layout != torch.strided:
        raise ModelError(
            "it holds quantised or otherwise packed weights, which have no plain values. Save the "
            "float network, not frozen for one kind of processor."
        )
    return tensor.detach()


def _own_class() -> ModelError:
    return ModelError(
        "it holds objects of classes of its own (torch.classes), such as packed quantised weights, "
        "which are not opened: they can run code. Save the float network."
    )


def _path(node: Any) -> str:
    """Path of the module that a node was written in, from "layer1(Sequential).0(Block)"."""
    parts = re.sub(r"\([^()]*\)", "", node.getModuleHierarchy()).split(".")
    return ".".join(p for p in parts if p and p not in ("SELF", "UNKNOWN_INSTANCE"))

"""An ONNX graph as tensors that are made of others: depth, paths, and names to read."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ood_core.errors import ModelError, did_you_mean

__all__ = ["Graph", "Operator"]

_PRIME = 2**127 - 1
"""Paths are counted modulo this prime: their number grows exponentially with depth."""
_SIZES = {"Shape", "Size"}
"""Operators whose output depends on an image's size and not on its values."""
_SAME = {"Identity", "Dropout"}


@dataclass(frozen=True)
class Operator:
    """One operator: what it is called and does, and the tensors that it reads and makes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    proto: Any

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute's number, or the default."""
        for found in self.proto.attribute:
            if found.name == name:
                return found.i if found.type == found.INT else found.f
        return default


class Graph:
    """The operators of a GraphProto in order of depth.

    Parameters
    ----------
    proto : the graph.
    image : name of the input that the images go into.

    Raises
    ------
    ModelError
        When the operators depend on each other in a circle.
    """

    def __init__(self, proto: Any, image: str) -> None:
        self.image = image
        self.operators = _ordered([_operator(node) for node in proto.node])
        self.producer = {out: op for op in self.operators for out in op.outputs if out}
        self.initialisers = {tensor.name for tensor in proto.initializer}
        self.place = {out: i for i, op in enumerate(self.operators) for out in op.outputs}

    @cached_property
    def of_images(self) -> set[str]:
        """Tensors that depend on the images' values; the others are constants of the network."""
        found = {self.image}
        for op in self.operators:
            if op.kind not in _SIZES and found.intersection(op.inputs):
                found.update(op.outputs)
        return found

    @cached_property
    def consumers(self) -> dict[str, list[Operator]]:
        """Operators that read a tensor."""
        found: dict[str, list[Operator]] = defaultdict(list)
        for op in self.operators:
            for name in dict.fromkeys(op.inputs):
                found[name].append(op)
        return found

    def varying(self, op: Operator) -> list[str]:
        """Inputs of an operator that depend on the images."""
        return [name for name in op.inputs if name in self.of_images]

    def cut_points(self, target: str) -> list[str]:
        """Tensors that every path from the images to `target` goes through, in order of depth.

        A tensor does when (paths from the images to it) x (paths from it to the target) is the
        number of all paths. Both ends are among them.
        """
        to_it: dict[str, int] = defaultdict(int, {self.image: 1})
        for op in self.operators:
            paths = sum(to_it[name] for name in self.varying(op)) % _PRIME
            for out in op.outputs if op.kind not in _SIZES else ():
                to_it[out] = paths
        from_it: dict[str, int] = defaultdict(int, {target: 1})
        for op in reversed(self.operators):
            paths = sum(from_it[out] for out in op.outputs) % _PRIME
            for name in self.varying(op) if op.kind not in _SIZES else ():
                from_it[name] = (from_it[name] + paths) % _PRIME
        total = to_it[target]
        made = [self.image, *(out for op in self.operators for out in op.outputs)]
        return [
            name for name in made
            if total and from_it[name] and to_it[name] * from_it[name] % _PRIME == total
        ]  # fmt: skip

    def origin(self, name: str) -> str:
        """The tensor that a copy of it is made of, through operators that change nothing."""
        while name in self.producer and self.producer[name].kind in _SAME:
            name = self.producer[name].inputs[0]
        return name

    def find(self, name: str) -> str:
        """The tensor of this name, or the output of the operator or layer of this name.

        Raises
        ------
        ModelError
            When there is none, with the names that come near.
        """
        if name in self.of_images:
            return name
        found = {op.proto.name: op.outputs[0] for op in self.operators if op.outputs}
        found |= {self.readable(out): out for op in self.operators for out in op.outputs[:1]}
        known = {key: out for key, out in found.items() if out in self.of_images}
        if name in known:
            return known[name]
        names = {*known, *(out for op in self.operators for out in op.outputs)} & {
            *known, *self.of_images
        }  # fmt: skip
        raise ModelError(
            f"features = {name!r}: the file has no such tensor. {did_you_mean(name, names)}"
        )

    def readable(self, name: str) -> str:
        """A tensor's name as a path of modules: `/layer1/layer1.0/Relu_output_0` -> `layer1.0`."""
        op = self.producer.get(name)
        scopes = _scopes(op.proto) if op is not None else []
        plain = re.sub(r"(_output_\d+|:\d+)$", "", name)
        steps = scopes or [step for step in plain.split("/") if step]
        steps = [s for s in steps if not s.startswith("StatefulPartitionedCall")] or steps
        path: list[str] = []
        for step in steps:
            while path and (step == path[-1] or step.startswith(f"{path[-1]}.")):
                path.pop()
            path.append(step)
        if op is not None and len(path) > 1 and path[-1] == op.kind:
            path.pop()
        joined = re.sub(r"[^A-Za-z0-9_.-]+", "_", ".".join(path))
        joined = re.sub(r"\.{2,}", ".", joined).strip(".") or "tensor"
        if op is not None and re.fullmatch(r"[\d_]+", joined):
            joined = f"{op.kind.lower()}_{joined}"
        return joined[:200].rstrip(".")


def _operator(node: Any) -> Operator:
    """The operator; what graphs within it read from outside counts as its input."""
    within = {
        name
        for attribute in node.attribute
        for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs)
        for name in _read_within(graph)
    }
    inputs = (*(name for name in node.input if name), *sorted(within - set(node.input)))
    return Operator(node.op_type, inputs, tuple(node.output), node)


def _read_within(graph: Any) -> Iterator[str]:
    for node in graph.node:
        yield from _operator(node).inputs
    yield from (output.name for output in graph.output)


def _ordered(operators: list[Operator]) -> list[Operator]:
    """Each after everything that it is computed from: some files have them otherwise."""
    makers = {out: i for i, op in enumerate(operators) for out in op.outputs if out}
    needs = {
        i: [makers[name] for name in op.inputs if name in makers] for i, op in enumerate(operators)
    }
    if all(j < i for i, before in needs.items() for j in before):
        return operators
    try:
        return [operators[i] for i in TopologicalSorter(needs).static_order()]
    except CycleError as error:
        raise ModelError("the operators of the graph depend on each other in a circle.") from error


def _scopes(node: Any) -> list[str]:
    """Modules around an operator, as torch's exporter notes them."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes" and len(entry.value) < 10_000:
            try:
                found = ast.literal_eval(entry.value)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                return []
            return [str(step) for step in found if step] if isinstance(found, list) else []
    return []

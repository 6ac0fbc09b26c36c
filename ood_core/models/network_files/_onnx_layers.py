"""Which tensors of an ONNX graph are layers worth recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ood_core.models.layer_info import PENULTIMATE, LayerInfo
from ood_core.models.layer_search import MAX_LAYERS

if TYPE_CHECKING:
    import numpy as np

    from ood_core.models.network_files._onnx_graph import Graph, Operator

__all__ = ["layer_of", "layer_tensors", "module_paths", "spread"]

_ACTIVATIONS = {
    "BiasGelu", "Celu", "Clip", "Elu", "FastGelu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu",
    "Mish", "PRelu", "QuickGelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Swish",
    "Tanh", "ThresholdedRelu",
}  # fmt: skip


def layer_tensors(graph: Graph, target: str) -> list[str]:
    """Tensors up to `target` that decide it alone, in order of depth.

    As `find_layers` has them: outputs of activation functions, and of blocks, which end where
    their paths meet again. A sum that an activation function follows is not yet the block's end.
    """
    cuts = [name for name in graph.cut_points(target) if name in graph.producer]
    there, found = set(cuts), []
    for name in cuts:
        op = graph.producer[name]
        if op.kind in _ACTIVATIONS or _ends_block(graph, op, there):
            found.append(name)
    return found


def _ends_block(graph: Graph, op: Operator, cuts: set[str]) -> bool:
    if len(set(graph.varying(op))) < 2:
        return False
    readers = graph.consumers[op.outputs[0]]
    return not (
        len(readers) == 1 and readers[0].kind in _ACTIVATIONS and readers[0].outputs[0] in cuts
    )


def layer_of(name: str, output: np.ndarray) -> LayerInfo:
    """What a layer is, by what it gave for some images."""
    shape = tuple(int(size) for size in output.shape[1:])
    kind = {1: "vector", 2: "tokens", 3: "map"}.get(len(shape), "map")
    last = len(shape) == 2 or (len(shape) == 3 and shape[0] == shape[1] != shape[2])
    return LayerInfo(name, shape, kind, bool(output.min() < 0), len(shape) - 1 if last else 0)


def spread(names: Sequence[str]) -> list[str]:
    """At most MAX_LAYERS - 1 of them, evenly; PENULTIMATE comes last."""
    limit = MAX_LAYERS - 1
    if len(names) <= limit:
        return list(names)
    return [names[(i + 1) * len(names) // limit - 1] for i in range(limit)]


def module_paths(graph: Graph, tensors: Sequence[str], taken: set[str]) -> Iterator[str]:
    """Names for layers: readable, distinct, and none that a module has for itself."""
    used = {PENULTIMATE, "logits"}
    for tensor in tensors:
        steps = graph.readable(tensor).split(".")
        plain = ".".join(f"{step}_" if step in taken or not step else step for step in steps)
        name, number = plain, 2
        while name in used:
            name, number = f"{plain}_{number}", number + 1
        used.add(name)
        yield name

"""The head of an ONNX classifier: the linear operator that its logits come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ood_core.models.head import ClassifierHead

if TYPE_CHECKING:
    from ood_core.models.network_files._onnx_graph import Graph, Operator

__all__ = ["FoundHead", "averaged", "find_head", "logits_of"]

PROBABILITIES = {"Softmax", "LogSoftmax"}
_ROUNDING = {"QuantizeLinear", "DequantizeLinear"}
_SHAPES = {"Identity", "Dropout", "Cast", "Flatten", "Squeeze", "Unsqueeze", "Reshape"}
_MEANS = {"GlobalAveragePool", "ReduceMean", "AveragePool"}
_AFFINE = {"Add", "Sub", "Mul", "Div"}


@dataclass(frozen=True)
class FoundHead:
    """Names of the tensors of a head `z = s · h Wᵀ + b`, and how its operator has them.

    Attributes
    ----------
    features : h, the operator's input.
    weight, bias : W and b; no bias is "".
    kind : "Gemm", "MatMul" or "Conv".
    transposed : whether the file has W as (features, classes).
    alpha, beta : factors of a Gemm.
    after : (operator, constant) between the operator and the logits, from the logits backwards.
    """

    features: str
    weight: str
    bias: str
    kind: str
    transposed: bool
    alpha: float = 1.0
    beta: float = 1.0
    after: tuple[tuple[str, str], ...] = field(default=())

    @property
    def constants(self) -> tuple[str, ...]:
        """Tensors whose values `arrays` needs."""
        return tuple(n for n in (self.weight, self.bias, *(c for _, c in self.after)) if n)

    def arrays(self, values: Mapping[str, np.ndarray]) -> ClassifierHead | None:
        """W (c, d) and b (c,) in float64; None where their shapes are no head's."""
        weight = np.asarray(values[self.weight], np.float64)
        if self.kind == "Conv":
            if weight.ndim < 3 or weight.shape[2:] != (1,) * (weight.ndim - 2):
                return None
            weight = weight.reshape(weight.shape[:2])
        if weight.ndim != 2:
            return None
        weight = self.alpha * (weight.T if self.transposed else weight)
        bias = np.zeros(len(weight))
        try:
            if self.bias:
                bias = bias + self.beta * np.asarray(values[self.bias], np.float64).reshape(-1)
            for kind, name in reversed(self.after):
                constant = np.asarray(values[name], np.float64).reshape(-1)
                if kind in ("Mul", "Div"):
                    factor = constant if kind == "Mul" else 1 / constant
                    weight, bias = weight * factor[:, None], bias * factor
                else:
                    bias = bias + constant if kind == "Add" else bias - constant
        except ValueError:
            return None
        return ClassifierHead(weight, bias)


def logits_of(graph: Graph, output: str) -> tuple[str, str]:
    """The logits behind an output, and which operator was left off: "" for none.

    Probabilities (Softmax, LogSoftmax) are made of logits at the very end; a quantised network
    rounds its logits once more there. In both cases the tensor before is meant.
    """
    name, before = output, ""
    while (op := graph.producer.get(name)) is not None and graph.varying(op) == [op.inputs[0]]:
        if op.kind in PROBABILITIES or op.kind == "QuantizeLinear":
            output, before = op.inputs[0], before or op.kind
        elif op.kind not in _SHAPES | _ROUNDING:
            break
        name = op.inputs[0]
    return output, before


def find_head(graph: Graph, logits: str) -> FoundHead | None:
    """The linear operator whose output, averaged over positions, is `logits`; None without one.

    Found by the operators' kinds; whether `h Wᵀ + b` are the logits is for the caller to measure.
    """
    name, after = logits, list[tuple[str, str]]()
    while (op := graph.producer.get(name)) is not None:
        varying = graph.varying(op)
        if len(varying) != 1:
            return None
        head = _linear(graph, op, tuple(after))
        if head is not None:
            return head
        constants = [n for n in op.inputs if n != varying[0]]
        right = op.inputs[0] == varying[0] or op.kind in ("Add", "Mul")
        if op.kind in _AFFINE and len(constants) == 1 and right:
            after.append((op.kind, constants[0]))
        elif op.kind not in _SHAPES | _MEANS or op.inputs[0] != varying[0]:
            return None
        name = varying[0]
    return None


def averaged(array: np.ndarray, channels_last: bool) -> np.ndarray:
    """(n, channels) of a tensor with positions, by the mean over them; float64."""
    array = np.asarray(array, np.float64)
    if array.ndim <= 2:
        return array
    if channels_last:
        return np.asarray(array.reshape(len(array), -1, array.shape[-1]).mean(1))
    return np.asarray(array.reshape(*array.shape[:2], -1).mean(2))


def _linear(graph: Graph, op: Operator, after: tuple[tuple[str, str], ...]) -> FoundHead | None:
    if op.kind not in ("Gemm", "MatMul", "Conv") or op.inputs[0] not in graph.of_images:
        return None
    features, weight = op.inputs[:2]
    bias = op.inputs[2] if len(op.inputs) > 2 else ""
    if op.kind == "MatMul":
        return FoundHead(features, weight, "", op.kind, transposed=True, after=after)
    if op.kind == "Conv":
        group = op.attribute("group", 1)
        found = FoundHead(features, weight, bias, op.kind, transposed=False, after=after)
        return found if group == 1 else None
    if op.attribute("transA", 0):
        return None
    return FoundHead(
        features, weight, bias, op.kind, transposed=not op.attribute("transB", 0), after=after,
        alpha=op.attribute("alpha", 1.0), beta=op.attribute("beta", 1.0),
    )  # fmt: skip

"""Small networks as ONNX files: exported by torch, and built operator by operator."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

SHAPE = (3, 12, 12)


class Residual(nn.Module):
    """A stem, a residual block, a mean over positions and a linear head."""

    def __init__(self, classes: int = 4, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm(self.stem(x)))
        x = torch.relu(x + self.conv(x))
        return self.head(x.mean((2, 3)))


class ConvHead(nn.Module):
    """A 1x1 convolution whose output is averaged: the head runs at every position."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
        self.head = nn.Conv2d(6, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(self.head(self.body(x)), 1).flatten(1)


class Tokens(nn.Module):
    """A linear head without bias on every token."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, 4)
        self.head = nn.Linear(6, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = nn.functional.gelu(self.patches(x)).flatten(2).transpose(1, 2)
        return self.head(tokens).mean(1)


def flat() -> nn.Module:
    """As VGG: convolutions, then a vector through two linear maps."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(100, 7), nn.ReLU(),
        nn.Dropout(), nn.Linear(7, 3),
    )  # fmt: skip


NETWORKS = {"residual": Residual, "conv-head": ConvHead, "tokens": Tokens, "flat": flat}


def made(name: str) -> nn.Module:
    """One of NETWORKS with weights that are the same each time."""
    torch.manual_seed(5)
    return NETWORKS[name]().eval().requires_grad_(False)


def export(
    module: nn.Module, path: Path, *, shape: tuple[int, ...] = SHAPE, dynamo: bool = False,
    batch: int | None = None,
) -> Path:  # fmt: skip
    """Write the module as ONNX for any number of images, or for exactly `batch`."""
    images = torch.zeros(batch or 2, *shape)
    more: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
    if batch is None and dynamo:
        more["dynamic_shapes"] = ({0: "batch"},)
    elif batch is None:
        more["dynamic_axes"] = {"images": {0: "batch"}, "logits": {0: "batch"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters announce their successors
        torch.onnx.export(module, (images,), str(path), dynamo=dynamo, verbose=False, **more)
    return path


def write(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    weights: Mapping[str, np.ndarray],
    *,
    inputs: Sequence[tuple[str, int, Sequence[Any]]],
    outputs: Sequence[tuple[str, int, Sequence[Any]]],
    domains: Sequence[str] = (),
    **fields: Any,
) -> Path:
    """Write a graph of these operators; an input or output is (name, type, sizes)."""
    made_ = [helper.make_tensor_value_info(*one) for one in inputs]
    out = [helper.make_tensor_value_info(*one) for one in outputs]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(list(nodes), "made", made_, out, tensors)
    opsets = [helper.make_opsetid("", 20), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, **fields)
    path.write_bytes(model.SerializeToString())
    return path


def linear_weights(classes: int = 4, channels: int = 3) -> dict[str, np.ndarray]:
    """Weights of `linear`."""
    rng = np.random.default_rng(2)
    return {
        "kernel": rng.normal(size=(6, channels, 3, 3)).astype(np.float32),
        "W": rng.normal(size=(classes, 6)).astype(np.float32),
        "b": rng.normal(size=classes).astype(np.float32),
    }


def linear(images: str = "images", logits: str = "logits") -> list[onnx.NodeProto]:
    """Convolution, ReLU, mean, head: as operators over `linear_weights`."""
    return [
        helper.make_node("Conv", [images, "kernel"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["features"]),
        helper.make_node("Gemm", ["features", "W", "b"], [logits], transB=1),
    ]


def linear_in_torch(weights: Mapping[str, np.ndarray]) -> nn.Module:
    """The same network as torch has it."""
    kernel = torch.from_numpy(weights["kernel"])
    conv = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, bias=False)
    head = nn.Linear(weights["W"].shape[1], weights["W"].shape[0])
    module = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    module.requires_grad_(False)
    conv.weight.copy_(kernel)
    head.weight.copy_(torch.from_numpy(weights["W"]))
    head.bias.copy_(torch.from_numpy(weights["b"]))
    return module.eval()


FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
IMAGES = ("images", FLOAT, ["n", 3, 12, 12])
LOGITS = ("logits", FLOAT, ["n", 4])


def small(path: Path, **changes: Any) -> Path:
    """The file of `linear`; `changes` are arguments of `write`."""
    given: dict[str, Any] = {
        "nodes": linear(), "weights": linear_weights(), "inputs": [IMAGES], "outputs": [LOGITS]
    }  # fmt: skip
    return write(path, **{**given, **changes})

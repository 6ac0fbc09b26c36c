"""An ONNX network as a torch module, so that hooks see its layers as they see any other's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from ood_core.errors import ModelError
from ood_core.models.found_network import FoundNetwork
from ood_core.models.network_files._onnx_graph import Graph
from ood_core.models.network_files._onnx_input import image_input
from ood_core.models.network_files._onnx_layers import module_paths
from ood_core.models.network_files._onnx_probe import Findings, Probe
from ood_core.models.network_files._onnx_sessions import Sessions

if TYPE_CHECKING:
    from ood_core.models.network_files._onnx_reading import OnnxFile

__all__ = ["HEAD", "OnnxNetwork"]

logger = logging.getLogger("ood_core.models")

HEAD = "head"


class _Head(nn.Module):
    """Where hooks find the penultimate features; the logits are the file's own."""

    def forward(self, _features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """The logits as they are."""
        return logits


class OnnxNetwork(nn.Module):
    """A network that onnxruntime runs, on the CPU or with CUDA where its images are.

    Layers are `nn.Identity` modules that a tensor passes only when a hook waits there: what nobody
    records is not fetched. Half precision, memory formats and `torch.compile` change nothing.

    Parameters
    ----------
    file : what was read.
    features : name of the tensor of penultimate features; None: it is found.
    num_classes : which output has the logits, where there are several; None for any.
    no_gradients : why nothing can be differentiated through it.
    """

    def __init__(
        self, file: OnnxFile, features: str | None, num_classes: int | None, no_gradients: str
    ) -> None:
        super().__init__()
        self._sessions = Sessions(file)
        self._images = image_input(file.name, file.model.graph)
        self._features, self._num_classes = features, num_classes
        self._no_gradients = no_gradients
        self._tensors: dict[str, str] = {}
        self._findings: Findings | None = None
        # `.to(device)` moves it: code that asks a network for its device finds one.
        self._place = nn.Parameter(torch.empty(0), requires_grad=False)

    def ood_found_network(self, input_shape: tuple[int, int, int], headless: bool) -> FoundNetwork:
        """Head and layers, by the graph and a run on random images.

        Raises
        ------
        ModelError
            When it cannot take such images, or has no head and `headless` is false.
        """
        file = self._sessions.file
        self._images = image_input(file.name, file.model.graph)
        self._images.check(file.name, input_shape)
        graph = Graph(file.model.graph, self._images.name)
        wanted = self._num_classes or None
        probe = Probe(self._sessions, graph, self._images, self._features)
        found = probe.headless(input_shape) if headless else probe.classifier(input_shape, wanted)
        self._sessions.clear()  # they compute every tensor looked at
        if found.left_off:
            logger.warning(
                "%s ends in %s: scores use the logits before it, %r.",
                file.name, found.left_off, found.output,
            )  # fmt: skip
        self._images, self._findings = found.images, found
        self._make_layers(graph, [tensor for tensor, _ in found.layers])
        infos = (info for _, info in found.layers)
        named = [replace(info, name=n) for n, info in zip(self._tensors, infos, strict=True)]
        return FoundNetwork(
            head_name="" if found.head is None else HEAD,
            head=found.head,
            layers=(*named, found.penultimate),
            no_gradients=self._no_gradients,
            takes_bytes=self._images.takes_bytes,
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) float32, features (n, d) of a network without a head.

        Raises
        ------
        ModelError
            When onnxruntime cannot run it, or before `found` was called.
        """
        if self._findings is None:
            raise ModelError("the layers of an ONNX network are not known yet: call `found` first.")
        found, head = self._findings, self.get_submodule(HEAD)
        layers = {n: t for n, t in self._tensors.items() if _watched(self.get_submodule(n))}
        more = [found.features] if found.head is not None and _watched(head) else []
        values = self._run(images, [*layers.values(), found.output, *more])
        for name, tensor in layers.items():
            self.get_submodule(name)(values[tensor])
        output = values[found.output]
        if found.head is None:
            return _pooled(output, found.channels_last)
        logits = output.flatten(1)
        return head(values[found.features], logits) if more else logits

    def _run(self, images: torch.Tensor, outputs: Sequence[str]) -> dict[str, torch.Tensor]:
        array = images.detach().to("cpu", torch.float32).numpy()
        found = self._sessions.run_images(self._images, array, outputs, str(images.device))
        return {
            name: torch.from_numpy(np.asarray(values, np.float32)).to(images.device)
            for name, values in found.items()
        }

    def _make_layers(self, graph: Graph, tensors: Sequence[str]) -> None:
        for name in [name for name, _ in self.named_children()]:
            delattr(self, name)
        setattr(self, HEAD, _Head())
        taken = {*dir(nn.Identity()), *dir(self)}
        names = tuple(module_paths(graph, tensors, taken))
        self._tensors = dict(zip(names, tensors, strict=True))
        for name in names:
            parent: nn.Module = self
            for step in name.split("."):
                if step not in parent._modules:
                    parent.add_module(step, nn.Identity())
                parent = parent.get_submodule(step)


def _watched(module: nn.Module) -> bool:
    """Whether a hook waits for what passes the module."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _pooled(features: torch.Tensor, channels_last: bool) -> torch.Tensor:
    """(n, d) of features with positions, by the mean over them."""
    if features.ndim == 2:
        return features
    return features.flatten(1, -2).mean(1) if channels_last else features.flatten(2).mean(2)

"""A head on a network without one: cosines to embeddings of texts, or a linear probe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ood_core.errors import ModelError
from ood_core.experiments.experiment import ClassifierSpec
from ood_core.models.found_network import FoundNetwork, KnowsItself
from ood_core.models.head import ClassifierHead
from ood_core.models.head_files import read_head, read_text
from ood_core.models.layer_info import PENULTIMATE
from ood_core.models.layer_output import LayerOutput

__all__ = ["TEMPERATURE", "with_head"]

TEMPERATURE = 0.01
"""Temperature of a zero-shot head whose network states none: CLIP's is trained and held at 0.01
or above (Radford et al., ICML 2021, section 2.5), where its published weights lie."""

_LEAST_TEMPERATURE = 1e-6
"""Cosines divided by it are still told apart in float32, and multiplied by it too."""


class _Head(nn.Linear):
    """A linear layer from arrays; `temperature` is that of a zero-shot head."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None, temperature: float | None):
        super().__init__(weight.shape[1], weight.shape[0], bias=bias is not None)
        with torch.no_grad():
            self.weight.copy_(torch.tensor(weight))
            if bias is not None:
                self.bias.copy_(torch.tensor(bias))
        self.temperature = temperature


class EncoderWithHead(nn.Module):
    """Logits of a network's features: `z = h Wᵀ + b`, or of a zero-shot head `z_c = cos(h, t_c)/τ`.

    In a zero-shot head the features that the linear layer takes are of length one, and its weights
    `t_c / (|t_c| τ)`; the features as the network gives them are the layer `embedding`.

    Parameters
    ----------
    encoder : from images to features (n, d).
    weight, bias : of the linear layer.
    temperature : of a zero-shot head; None for a linear probe.
    """

    def __init__(
        self,
        encoder: nn.Module,
        weight: np.ndarray,
        bias: np.ndarray | None = None,
        temperature: float | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.embedding = LayerOutput()
        self.head = _Head(weight, bias, temperature)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, c)."""
        features = self.embedding(_pooled(self.encoder(images)))
        if features.shape[1] != self.head.in_features:
            c, turned = self.head.out_features, ""
            if features.shape[1] == c:
                turned = " The array may be turned: save its transpose."
            what = "head takes" if self.head.temperature is None else "text embeddings have"
            raise ModelError(
                f"the network gives {features.shape[1]} features and the {what} "
                f"{self.head.in_features}: they are not of the same network.{turned}"
            )
        if self.head.temperature is not None:
            features = nn.functional.normalize(features, dim=1)
        logits: torch.Tensor = self.head(features)
        return logits


class OpaqueEncoderWithHead(EncoderWithHead):
    """The same on a network that autograd does not see into."""

    def ood_found_network(self, input_shape: tuple[int, int, int], headless: bool) -> FoundNetwork:
        """Head and layers, of which the network's own are those that it says."""
        encoder: Any = self.encoder
        inner = encoder.ood_found_network(input_shape, True)
        with torch.no_grad():  # raises where the features do not fit
            self(torch.zeros(1, *input_shape))
        *layers, last = inner.layers
        layers = [replace(layer, name=f"encoder.{layer.name}") for layer in layers]
        zero_shot = self.head.temperature is not None
        if zero_shot:
            layers.append(replace(last, name="embedding", signed=True))
        shape = (self.head.in_features,)
        own = replace(last, name=PENULTIMATE, shape=shape, kind="vector", channel_axis=0)
        weight = self.head.weight.detach().double().numpy()
        bias = None if self.head.bias is None else self.head.bias.detach().double().numpy()
        head = ClassifierHead(weight, bias, temperature=self.head.temperature)
        return FoundNetwork("head", head, (*layers, own), inner.no_gradients)


def with_head(network: nn.Module, spec: ClassifierSpec) -> nn.Module:
    """The network with the head that `text` or `head` names; the network itself without them.

    Raises
    ------
    ModelError
        When the file cannot be read or does not hold such a head.
    """
    if spec.text is None and spec.head is None:
        return network
    kind = OpaqueEncoderWithHead if isinstance(network, KnowsItself) else EncoderWithHead
    if spec.head is not None:
        head = read_head(spec.head)
        bias = None if head.bias is None or not head.bias.any() else head.bias
        return kind(network, head.weight, bias).eval()
    assert spec.text is not None
    temperature = spec.temperature or getattr(network, "temperature", None) or TEMPERATURE
    if not _LEAST_TEMPERATURE <= temperature <= 1 / _LEAST_TEMPERATURE:
        raise ModelError(
            f"temperature = {temperature:g} is no temperature of cosines: logits would be all the "
            f"same or infinite. Give one of {_LEAST_TEMPERATURE:g} to "
            f"{1 / _LEAST_TEMPERATURE:g}; CLIP's is 0.01."
        )
    return kind(network, read_text(spec.text) / temperature, None, temperature).eval()


def _pooled(features: torch.Tensor) -> torch.Tensor:
    """(n, d) from features with positions (n, d, …), by the mean over them."""
    return features if features.ndim == 2 else features.flatten(2).mean(2)

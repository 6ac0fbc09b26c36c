"""The lab's network: ReLU layers without biases, the kind that Prop. 1 is about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as nnf

__all__ = ["LabNetwork", "augmented"]


class LabNetwork(nn.Module):
    """Hidden layers `a ← relu(W a)` and a linear head, all without biases, in float64.

    Without biases `ψ = C(x) a` holds exactly at every layer. In float64 every machine trains the
    same network, as far as any figure shows; in float32 training enlarges what processors round
    differently until AUROCs differ.

    Parameters
    ----------
    sizes : inputs, units of each hidden layer, outputs.
    generator : draws the initial weights (He's for hidden layers).
    """

    def __init__(self, sizes: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        pairs = list(pairwise(sizes))
        plain = partial(nn.Linear, bias=False, dtype=torch.float64)
        with torch.random.fork_rng(devices=[]):
            self.hidden = nn.ModuleList(plain(a, b) for a, b in pairs[:-1])
            self.head = plain(*pairs[-1])
        for layer in self.hidden.children():
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        nn.init.normal_(self.head.weight, std=pairs[-1][0] ** -0.5, generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, outputs)."""
        logits: torch.Tensor = self.head(self.activations(x)[-1])
        return logits

    def activations(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Output of each hidden layer, shallow to deep."""
        found = []
        for layer in self.hidden:
            x = torch.relu(layer(x))
            found.append(x)
        return found

    def tail(self, depth: int) -> nn.Sequential:
        """The network from the output of hidden layer `depth` (0-based) to the logits."""
        rest = [m for layer in self.hidden[depth + 1 :] for m in (layer, nn.ReLU())]
        return nn.Sequential(*rest, self.head)


def augmented(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Images (n, 64) turned by up to 14°, scaled by up to 15 % and shifted by up to a pixel."""
    n = len(x)

    def draw(*shape: int) -> torch.Tensor:
        return 2 * torch.rand(*shape, generator=generator, dtype=x.dtype) - 1

    angle, scale = 0.25 * draw(n), 1 + 0.15 * draw(n)
    matrix = torch.empty(n, 2, 3, dtype=x.dtype)
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos() * scale
    matrix[:, 1, 0] = angle.sin() * scale
    matrix[:, 0, 1] = -matrix[:, 1, 0]
    matrix[:, :, 2] = 0.25 * draw(n, 2)
    images = x.reshape(n, 1, 8, 8)
    grid = nnf.affine_grid(matrix, [n, 1, 8, 8], align_corners=False)
    return nnf.grid_sample(images, grid, padding_mode="border", align_corners=False).flatten(1)

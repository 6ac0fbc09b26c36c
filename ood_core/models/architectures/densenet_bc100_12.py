"""DenseNet-BC, 100 layers, growth rate 12, for 32 x 32 images (Huang et al., arXiv 1608.06993).

Module names are those of the checkpoints that the DICE and LINe code load.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["NAMES", "DenseNet", "build"]

NAMES = ("densenet_bc100_12",)


class _DenseLayer(nn.Module):
    """1x1 and 3x3 convolution, each after batch norm and ReLU; returns the new channels only."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(functional.relu(self.bn1(x)))
        return self.conv2(functional.relu(self.bn2(x)))


class _DenseBlock(nn.Module):
    """Layers of which each sees the outputs of all before it."""

    def __init__(self, layers: int, inputs: int, growth: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_DenseLayer(inputs + i * growth, growth) for i in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layer:
            x = torch.cat([x, layer(x)], 1)
        return x


class _Transition(nn.Module):
    """Batch norm, ReLU, 1x1 convolution that halves the channels, 2x2 average."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(self.conv1(functional.relu(self.bn1(x))), 2)


class DenseNet(nn.Module):
    """Three dense blocks of 16 layers; 342 penultimate features."""

    def __init__(self, num_classes: int = 10, layers: int = 16, growth: int = 12) -> None:
        super().__init__()
        channels = 2 * growth
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.block1 = _DenseBlock(layers, channels, growth)
        self.trans1 = _Transition(channels + layers * growth)
        channels = (channels + layers * growth) // 2
        self.block2 = _DenseBlock(layers, channels, growth)
        self.trans2 = _Transition(channels + layers * growth)
        channels = (channels + layers * growth) // 2
        self.block3 = _DenseBlock(layers, channels, growth)
        self.bn1 = nn.BatchNorm2d(channels + layers * growth)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(channels + layers * growth, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, num_classes) of images (n, 3, 32, 32)."""
        x = self.trans1(self.block1(self.conv1(x)))
        x = self.trans2(self.block2(x))
        x = self.relu(self.bn1(self.block3(x)))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def build(name: str, num_classes: int | None) -> nn.Module:
    """The network with untrained weights."""
    return DenseNet(num_classes or 10)

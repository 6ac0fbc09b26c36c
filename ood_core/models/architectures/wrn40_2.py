"""Wide ResNet 40-2 for 32 x 32 images (Zagoruyko and Komodakis, arXiv 1605.07146).

Module names are those of the checkpoints of the Outlier Exposure line of work and of OpenOOD.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["NAMES", "WideResNet", "build"]

NAMES = ("wrn40_2",)


class _Block(nn.Module):
    """Pre-activation block; where channels change, the shortcut starts after the first ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        if inputs != outputs:
            self.convShortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(x))
        if hasattr(self, "convShortcut"):
            x = self.convShortcut(y)
        return x + self.conv2(functional.relu(self.bn2(self.conv1(y))))


class _Stage(nn.Module):
    """Blocks one after another, under the name that checkpoints use."""

    def __init__(self, inputs: int, outputs: int, blocks: int, stride: int) -> None:
        super().__init__()
        rest = (_Block(outputs, outputs, 1) for _ in range(blocks - 1))
        self.layer = nn.Sequential(_Block(inputs, outputs, stride), *rest)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class WideResNet(nn.Module):
    """Three stages of six blocks with 32, 64 and 128 channels; 128 penultimate features."""

    def __init__(self, num_classes: int = 10, depth: int = 40, width: int = 2) -> None:
        super().__init__()
        blocks, channels = (depth - 4) // 6, [16, 16 * width, 32 * width, 64 * width]
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.block1 = _Stage(channels[0], channels[1], blocks, stride=1)
        self.block2 = _Stage(channels[1], channels[2], blocks, stride=2)
        self.block3 = _Stage(channels[2], channels[3], blocks, stride=2)
        self.bn1 = nn.BatchNorm2d(channels[3])
        self.relu = nn.ReLU()
        self.fc = nn.Linear(channels[3], num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, num_classes) of images (n, 3, 32, 32)."""
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        x = self.relu(self.bn1(x))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def build(name: str, num_classes: int | None) -> nn.Module:
    """The network with untrained weights."""
    return WideResNet(num_classes or 10)

"""The embedded experiment's network: small enough to be trained at first use."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["NAMES", "DigitsCNN", "build"]

NAMES = ("digits_cnn",)


class DigitsCNN(nn.Module):
    """Three convolution blocks, a hidden layer of 256 ReLU units, a linear head.

    Input: (n, 1, 16, 16). The first layer brings every image to mean 0 and standard deviation 1,
    so that no feature grows with an image's contrast alone. `hidden_norm` adds batch norm between
    the hidden layer's linear map and its ReLU; training uses it and folds it into the linear map
    at the end, so the finished network has a plain Linear + ReLU.
    """

    def __init__(self, num_classes: int = 8, hidden_norm: bool = False) -> None:
        super().__init__()
        self.contrast = nn.InstanceNorm2d(1, eps=0.01)
        self.block1 = _block(1, 16, stride=1)
        self.block2 = _block(16, 32, stride=2)
        self.block3 = _block(32, 64, stride=2)
        self.hidden = nn.Linear(64 * 4 * 4, 256)
        self.hidden_norm = nn.BatchNorm1d(256) if hidden_norm else nn.Identity()
        self.relu = nn.ReLU()
        self.head = nn.Linear(256, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, num_classes)."""
        x = self.block3(self.block2(self.block1(self.contrast(x))))
        return self.head(self.relu(self.hidden_norm(self.hidden(x.flatten(1)))))


def build(name: str, num_classes: int | None) -> nn.Module:
    """The network with untrained weights."""
    return DigitsCNN(num_classes or 8)


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())

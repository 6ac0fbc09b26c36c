"""Whether a network's answer for an image is the image's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ood_core.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["check_steady"]

UNSTEADY = 1e-3
"""Change of the output, as a share of the largest, that is not rounding any more."""


def check_steady(module: nn.Module, images: torch.Tensor, output: torch.Tensor) -> None:
    """Refuse a network whose answer for an image is not the image's own.

    Raises
    ------
    ModelError
        When the same images give another output, or an image alone another than among others.
    """
    import torch

    def differs(other: torch.Tensor, before: torch.Tensor) -> bool:
        most = UNSTEADY * float(output.abs().max())
        return other.shape != before.shape or float((other - before).abs().max()) > most

    with torch.no_grad():
        if differs(module(images.clone()), output):
            raise ModelError(
                "the network gives another output for the same images: it draws random numbers or "
                "keeps a state from image to image. A dropout written as F.dropout(x) is always "
                "on; write F.dropout(x, training=self.training), or nn.Dropout."
            )
        try:
            alone = module(images[:1].clone())
        except (RuntimeError, ValueError):
            return  # it takes a fixed number of images, which is told where they are passed
        if differs(alone, output[:1]):
            raise ModelError(
                "an image's output depends on the other images that pass through the network with "
                "it (normalisation over the batch, a difference from its mean): scores would "
                "depend on how images are grouped. Use running statistics, as batch norm has."
            )

"""How many channels of an image a network takes, and its first convolution with another number."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from ood_core.models.mismatch import Shapes

__all__ = ["channels_remedy", "first_channels", "for_channels", "with_channels"]

COLOUR, GREY = 3, 1
_REMEDY = {
    GREY: 'set mode = "L" in [preprocessing], with one value each in mean and std',
    COLOUR: 'set mode = "RGB" in [preprocessing], with three values each in mean and std: grey '
    "images become three equal channels",
}


def first_channels(state: Shapes, wanted: Shapes) -> int | None:
    """Channels that the first convolution of a checkpoint takes, where the network's takes others.

    Parameters
    ----------
    state, wanted : name -> shape of the checkpoint and of the network.
    """
    found = {
        state[k][1]
        for k, shape in wanted.items()
        if len(shape) == 4 and k in state and len(state[k]) == 4
        and {shape[1], state[k][1]} == {GREY, COLOUR}
        and (shape[0], shape[2:]) == (state[k][0], state[k][2:])
    }  # fmt: skip
    return found.pop() if len(found) == 1 else None


def for_channels(state: Shapes, wanted: Shapes) -> Shapes:
    """The network's shapes for images of as many channels as the checkpoint's."""
    channels = first_channels(state, wanted)
    if channels is None:
        return wanted
    return {
        k: (s[0], channels, *s[2:])
        if len(s) == 4 and {s[1], channels} == {GREY, COLOUR} and k in state
        else s
        for k, s in wanted.items()
    }


def channels_remedy(state: Shapes, wanted: Shapes) -> str:
    """What to do about another number of channels; "" where it is the same."""
    channels = first_channels(state, wanted)
    if channels is None:
        return ""
    what = "grey images, 1 channel" if channels == GREY else "colour images, 3 channels"
    return f"Its first convolution takes {what}: {_REMEDY[channels]}."


def with_channels(network: nn.Module, channels: int) -> nn.Module:
    """The untrained network for images of so many channels: one, or three.

    Only convolutions that read the image have one or three input channels and no groups.
    """
    from torch import nn

    if channels not in (GREY, COLOUR):
        return network
    other = COLOUR if channels == GREY else GREY
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and (module.in_channels, module.groups) == (other, 1):
            kept = module.weight.detach()[:, :1].repeat(1, channels, 1, 1)
            module.weight = nn.Parameter(kept)
            module.in_channels = channels
    return network

"""Why a network's forward pass on random images failed, in words that say what to do."""

from __future__ import annotations

import re
import traceback

__all__ = ["forward_failed"]


def forward_failed(error: BaseException, input_shape: tuple[int, ...]) -> str:
    """Why a forward pass failed, and what to do."""
    said = _first_line(error)
    if isinstance(error, TypeError) and "forward() missing" in said:
        return (
            f"the network needs more than the images: {said}. Wrap it in an nn.Module of your own "
            "whose forward takes the images alone and gives the rest."
        )
    if isinstance(error, TypeError) and "forward() takes" in said:
        return f"the network takes no images: {said}. Have forward take them first: forward(x)."
    if isinstance(error, RuntimeError | AssertionError) and re.search(r"NVIDIA|CUDA", said):
        return (
            f"the network's forward pass wants a graphics card: {said} Have it go by the device of "
            "its images, x.device."
        )
    if isinstance(error, RuntimeError) and re.search(r"should be the same|same dtype", said):
        return (
            f"the network computes with another type of numbers than its images, float32: {said}. "
            "Have it keep float32, as model.float() does, or convert in its forward."
        )
    if isinstance(error, RuntimeError | ValueError | AssertionError | TypeError):
        return (
            f"the network cannot take images of shape {input_shape} (channels, height, width): "
            f"{said.rstrip('.')}. Check resize, center_crop and the number of values in mean "
            "and std of [preprocessing]."
        )
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{frame.filename}, line {frame.lineno}: {frame.line or ''}".rstrip(": ")
    return f"the network's forward pass fails with {type(error).__name__}: {said} ({where})."


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

"""What an ONNX network takes: the name, type and layout of its images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ood_core.errors import ModelError
from ood_core.models.found_network import BYTES_ONLY
from ood_core.models.network_files._onnx_packages import needed

__all__ = ["ImageInput", "image_input"]

_TYPES = {1: "f4", 2: "u1", 10: "f2", 11: "f8"}
"""`TensorProto.DataType` of images: float32, uint8, float16, float64."""
_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class ImageInput:
    """The input for images.

    Attributes
    ----------
    name : of the tensor.
    dtype : numpy type; uint8 takes pixel values of 0 to 255.
    channels_last : whether it is (n, height, width, channels), as TensorFlow has it.
    batch : images that go in together; None for any number.
    shape : (channels, height, width), None where any will do.
    """

    name: str
    dtype: np.dtype[Any]
    channels_last: bool
    batch: int | None
    shape: tuple[int | None, int | None, int | None]

    @property
    def takes_bytes(self) -> bool:
        """Whether it takes pixel values of 0 to 255 and normalises them itself."""
        return self.dtype.kind == "u"

    def one_by_one(self) -> ImageInput:
        """The same for single images."""
        return replace(self, batch=1)

    def check(self, file: str, given: tuple[int, int, int]) -> None:
        """Hold images of `given` (channels, height, width) against it.

        Raises
        ------
        ModelError
            When the network takes other sizes.
        """
        if any(own not in (None, size) for own, size in zip(self.shape, given, strict=True)):
            channels, height, width = ("any" if size is None else size for size in self.shape)
            raise ModelError(
                f"{file} takes images of {channels} channels and {height} x {width} pixels, but "
                f"the preprocessing makes {given[0]} channels and {given[1]} x {given[2]}. Set "
                "resize and center_crop to its size, and as many values in mean and std as it has "
                "channels."
            )

    def feed(self, images: np.ndarray) -> np.ndarray:
        """(n, channels, height, width) float32 as the network takes it.

        Raises
        ------
        ModelError
            When it takes bytes and the values are none: they were normalised.
        """
        if self.takes_bytes:
            if images.size and not (images.min() >= 0 and images.max() <= 1):
                raise ModelError(BYTES_ONLY)
            images = np.rint(images * 255)
        if self.channels_last:
            images = images.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(images, dtype=self.dtype)


def image_input(file: str, graph: Any) -> ImageInput:
    """The one input of a GraphProto that is images.

    Raises
    ------
    ModelError
        When there are several inputs, or it is not four-dimensional numbers.
    """
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        shown = ", ".join(repr(value.name) for value in inputs) or "none"
        raise ModelError(
            f"{file} has {len(inputs)} inputs ({shown}); a network of images alone has one. Export "
            "it with the others fixed."
        )
    kind = inputs[0].type.tensor_type
    sizes = tuple(
        int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None
        for d in kind.shape.dim
    )
    if kind.elem_type not in _TYPES or len(sizes) != 4:
        raise ModelError(
            f"{file}: its input {inputs[0].name!r} is {_described(kind.elem_type, sizes)}, and not "
            "images of shape (n, channels, height, width) or (n, height, width, channels) in "
            "float32, float16, float64 or uint8."
        )
    last = _channels_last(graph, inputs[0].name, sizes)
    batch, one, two, three = sizes
    shape = (three, one, two) if last else (one, two, three)
    return ImageInput(inputs[0].name, np.dtype(_TYPES[kind.elem_type]), last, batch, shape)


def _channels_last(graph: Any, name: str, sizes: tuple[int | None, ...]) -> bool:
    """By the axis that can be channels; where both or none can, by what reads the images first."""
    first, last = sizes[1] in _CHANNELS, sizes[3] in _CHANNELS
    if first != last:
        return last
    seen = {name}
    for node in graph.node:
        if not seen & set(node.input):
            continue
        if node.op_type == "Transpose":
            order = next((list(a.ints) for a in node.attribute if a.name == "perm"), [])
            return order == [0, 3, 1, 2]
        if node.op_type in ("Conv", "QLinearConv"):
            return False
        seen.update(node.output)
    return False


def _described(kind: int, sizes: tuple[int | None, ...]) -> str:
    shown = ", ".join("any" if size is None else str(size) for size in sizes)
    types = needed("onnx").TensorProto.DataType
    return f"{types.Name(kind).lower() if kind in types.values() else 'unknown'} of shape ({shown})"

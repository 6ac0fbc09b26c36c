"""Names and shapes of a network's parameters, without memory for them or time for their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ood_core.models.mismatch import Shapes, shapes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

__all__ = ["shapes_built_by"]

_VALUES_ONLY = frozenset((
    "normal_", "uniform_", "trunc_normal_", "kaiming_uniform_", "kaiming_normal_",
    "xavier_uniform_", "xavier_normal_", "orthogonal_", "constant_", "ones_", "zeros_", "dirac_",
    "fill_", "zero_", "add_", "sub_", "mul_", "div_", "clamp_", "erfinv_", "exponential_", "copy_",
))  # fmt: skip
"""Functions that write values into a tensor and leave its shape."""


def shapes_built_by(build: Callable[[], nn.Module]) -> Shapes:
    """Shapes of the state dict of what `build()` makes, on the meta device.

    Initial values are left out, which is most of the time that building takes there.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    class WithoutValues(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            given = kwargs or {}
            if getattr(function, "__name__", "") in _VALUES_ONLY:
                target = args[0] if args else given.get("tensor")
                if isinstance(target, torch.Tensor) and target.is_meta:
                    return target
            return function(*args, **given)

    with torch.device("meta"), WithoutValues():
        return shapes_of(build().state_dict())

"""A detector's score once more as a torch module: what an exported program runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ood_core.activations.record import PENULTIMATE
from ood_core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["CHUNK", "Exportable", "memory_bound", "torch_energy", "torch_module", "torch_unit_rows"]

CHUNK = 4096
"""Values per image that a form works on at once: of a bank, or of units times classes."""


class Exportable:
    """What every detector inherits; one that defines `_torch_form` can be exported.

    The form repeats the NumPy score in float64 and stands in the same file; the contract suite
    compares the two.
    """

    name: ClassVar[str]

    @classmethod
    def has_torch_form(cls) -> bool:
        """Whether the detector can be exported."""
        return cls._torch_form is not Exportable._torch_form

    def torch_form(self) -> nn.Module:
        """Module of (features (n, d), logits (n, c)), both float64, that returns scores (n,).

        Raises
        ------
        NotFittedError
            Before `fit`.
        ConfigError
            When the detector has no torch form, or reads a layer other than the penultimate one.
        """
        self._check_fitted()
        layer = getattr(self, "layer", None)
        if layer not in (None, PENULTIMATE):
            raise ConfigError(
                f"detector {self.name!r} reads layer {layer!r}; an exported detector reads the "
                f"penultimate features. Leave out the layer."
            )
        return self._torch_form()

    def _torch_form(self) -> nn.Module:
        """The form of a fitted detector, made by `torch_module`."""
        raise ConfigError(
            f"detector {self.name!r} cannot be exported: it has no torch form. "
            "ood_core.detectors.exportable() names those that have one."
        )

    def _check_fitted(self) -> None:
        raise NotImplementedError


def torch_module(score: Callable[..., Tensor], **arrays: Any) -> nn.Module:
    """Module that calls `score(h, z, **tensors)`, its arrays made into buffers once.

    Parameters
    ----------
    score : function of features (n, d), logits (n, c) and one tensor per array, by name. n is not
        known when it is traced, so it must not branch on values or on n; loops over what is known
        from the arrays are unrolled.
    arrays : fitted arrays; floating point becomes float64, whole numbers and masks stay.

    >>> import torch
    >>> form = torch_module(lambda h, z, mean: (h - mean).norm(dim=1), mean=[1.0, 1.0])
    >>> form(torch.tensor([[4.0, 5.0]]), torch.zeros(1, 3)).tolist()
    [5.0]
    """
    import torch

    class Form(torch.nn.Module):
        """`score` and its tensors, which move with the module."""

        def __init__(self) -> None:
            super().__init__()
            for name, array in arrays.items():
                values = np.array(array)  # a copy: fitted arrays may be read-only or views
                wide = values.astype(np.float64) if values.dtype.kind == "f" else values
                self.register_buffer(name, torch.from_numpy(wide))

        def forward(self, h: Tensor, z: Tensor) -> Tensor:
            found: Tensor = score(h, z, **dict(self.named_buffers()))
            return found

    return Form().eval()


def memory_bound(n: int, d: int, c: int) -> int:
    """Bytes that a form may hold at once for n images beside its buffers.

    A few values per feature and class and a few chunks: nothing of size n x c x d, and nothing
    that grows with the fit set.
    """
    return 8 * n * (8 * (d + c) + 5 * CHUNK)


def torch_energy(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`logsumexp(h Wᵀ + b)` per row: `energy_of` in torch."""
    energy: Tensor = (h @ weight.T + bias).logsumexp(1)
    return energy


def torch_unit_rows(h: Tensor) -> Tensor:
    """Rows divided by their Euclidean norm + 1e-10: `unit_rows` in torch."""
    length: Tensor = h.norm(dim=1, keepdim=True)
    return h / (length + 1e-10)

"""The classifier's last linear layer as arrays: all that logit and weight scores need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ood_core.errors import DataError
from ood_core.runtime.names import in_utf8

__all__ = ["ClassifierHead"]


@dataclass(frozen=True, eq=False)
class ClassifierHead:
    """Linear head `z = h Wᵀ + b`.

    Parameters
    ----------
    weight : array of shape (c, d), kept as float64.
    bias : array of shape (c,), or None for a head without bias (zeros are used).
    class_names : names of the c classes, or None.
    temperature : of a zero-shot head, whose logits are cosines divided by it; None for any other.

    Raises
    ------
    DataError
        When the shapes do not fit each other or a value is not finite.
    """

    weight: np.ndarray
    bias: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        weight = np.asarray(self.weight, dtype=np.float64)
        if weight.ndim != 2:
            raise DataError(f"head weight must have shape (classes, features), got {weight.shape}.")
        bias = np.zeros(len(weight)) if self.bias is None else np.asarray(self.bias, np.float64)
        if bias.shape != (len(weight),):
            raise DataError(f"head bias must have shape ({len(weight)},), got {bias.shape}.")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise DataError("head weight and bias must be finite; found NaN or infinity.")
        if self.class_names is not None and len(self.class_names) != len(weight):
            raise DataError(f"{len(self.class_names)} class names for {len(weight)} classes.")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)

    @property
    def n_classes(self) -> int:
        """Number of classes c."""
        return int(self.weight.shape[0])

    @property
    def n_features(self) -> int:
        """Number of penultimate features d."""
        return int(self.weight.shape[1])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Class names as UTF-8 has them; the class numbers where no names are known."""
        if self.class_names:  # of folders, whose names need not be UTF-8
            return tuple(map(in_utf8, self.class_names))
        return tuple(str(c) for c in range(self.n_classes))

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return `h Wᵀ + b` in float64 for features of shape (n, d)."""
        return np.asarray(np.asarray(features, np.float64) @ self.weight.T + self.bias)

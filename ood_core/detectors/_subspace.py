"""Principal and residual subspace of features around an origin: ViM and Residual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ood_core.activations.record import Activations
from ood_core.detectors._arrays import by_rows
from ood_core.detectors._gaussian import second_moment
from ood_core.detectors.constraints import Number
from ood_core.errors import ConfigError
from ood_core.models.head import ClassifierHead

__all__ = ["DIM", "ResidualSpace", "default_dim"]

DIM = Number(
    "Principal dimensions", "Directions that count as usual; must be below the number of features.",
    optional=True, low=1, integer=True, slider=(1, 2047, 1),
)  # fmt: skip


def default_dim(d: int) -> int:
    """ViM's choice: 1000 for d >= 2048, 512 for d >= 768, else half of d."""
    return 1000 if d >= 2048 else 512 if d >= 768 else max(1, d // 2)


@dataclass(frozen=True, eq=False)
class ResidualSpace:
    """Origin u (d,) and the basis (d, d − dim) of the least principal directions.

    `u = −W⁺ b`, where the logits are 0; without a head `u = mean_i h_i` of the fit features, as in
    principal component analysis.
    """

    origin: np.ndarray
    basis: np.ndarray

    @classmethod
    def fit(
        cls, name: str, acts: Activations, head: ClassifierHead | None, dim: int | None
    ) -> ResidualSpace:
        """Eigenvectors of `Σ (h − u)(h − u)ᵀ / n` after the `dim` largest.

        Raises
        ------
        ConfigError
            When `dim` leaves no residual space, or the fit features have no extent in it.
        """
        d = acts.features.shape[1]
        dim = default_dim(d) if dim is None else dim
        if dim >= d:
            raise ConfigError(
                f"detector {name!r}: parameter 'dim' must be below the number of features "
                f"({d}), got {dim}: no residual direction would be left."
            )
        if head is None:
            origin = acts.features.mean(axis=0, dtype=np.float64)
        else:
            origin = -np.linalg.pinv(head.weight) @ head.bias
        moment = second_moment(acts.features, origin) / len(acts)
        values, vectors = np.linalg.eigh(moment)
        rest, total = values[: d - dim].sum(), values.sum()
        if rest <= total * d * np.finfo(np.float64).eps:
            used = int((values > values[-1] * d * np.finfo(np.float64).eps).sum())
            raise ConfigError(
                f"detector {name!r}: parameter 'dim' must be below {used}, the number of "
                f"directions that the fit features use, got {dim}."
            )
        return cls(origin, np.ascontiguousarray(vectors[:, : d - dim]))

    def norm(self, features: np.ndarray) -> np.ndarray:
        """`‖(h − u) R‖` per row."""
        return by_rows(lambda h: np.linalg.norm((h - self.origin) @ self.basis, axis=1), features)

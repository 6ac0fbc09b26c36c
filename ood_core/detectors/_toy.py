"""Small known and unknown activations on which the contract suite runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ood_core.activations.record import Activations
from ood_core.models.head import ClassifierHead

__all__ = ["Toy"]

_ZERO_ROW = 17


@dataclass(frozen=True, eq=False)
class Toy:
    """Fit set, another fit set, ID test set, one with an all-zero row, OOD set and head.

    Four classes, 24 features after a ReLU. Known images excite the six units of their class;
    unknown ones excite any ten units, unevenly.
    """

    head: ClassifierHead
    fit: Activations
    other: Activations
    test: Activations
    zero: Activations
    ood: Activations
    zero_row: int = _ZERO_ROW

    @classmethod
    def make(cls, seed: int = 0) -> Toy:
        """The same data for the same seed."""
        rng = np.random.default_rng(seed)
        c, d = 4, 24
        groups = np.kron(np.eye(c), np.ones(d // c))
        head = ClassifierHead(
            0.6 * groups + 0.1 * rng.standard_normal((c, d)), 0.1 * rng.standard_normal(c)
        )

        def images(excited: np.ndarray, name: str, labels: np.ndarray | None) -> Activations:
            h = np.maximum(excited + 0.25 * rng.standard_normal(excited.shape), 0)
            if name == "toy-zero":
                h[_ZERO_ROW] = 0
            return Activations.from_arrays(h, head.logits(h), labels, name=name)

        def known(n: int, name: str) -> Activations:
            labels = np.arange(n) % c
            return images(1.5 * groups[labels], name, labels)

        excited = rng.permuted(np.tile(np.arange(d) < 10, (80, 1)), axis=1)
        strange = excited * rng.exponential(0.6, (80, d))
        return cls(
            head,
            fit=known(400, "toy-fit"),
            other=known(240, "toy-other"),
            test=known(61, "toy-test"),
            zero=known(61, "toy-zero"),
            ood=images(strange, "toy-ood", None),
        )

    def narrow(self, acts: Activations, columns: int | None = None) -> Activations:
        """`acts` in float32; with `columns`, only the first so many features."""
        features = acts.features[:, :columns].astype(np.float32)
        logits = None if acts.logits is None else acts.logits.astype(np.float32)
        return Activations.from_arrays(features, logits, acts.labels, name=acts.name)

    def without(
        self, acts: Activations, *, logits: bool = False, labels: bool = False
    ) -> Activations:
        """`acts` with logits or labels taken away."""
        return Activations.from_arrays(
            acts.features,
            None if logits else acts.logits,
            None if labels else acts.labels,
            name=acts.name,
        )

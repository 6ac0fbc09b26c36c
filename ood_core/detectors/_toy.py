"""Small known and unknown activations on which the contract suite runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from ood_core.activations.record import Activations
from ood_core.models.head import ClassifierHead

__all__ = ["Toy"]

_ZERO_ROW = 17


@dataclass(frozen=True, eq=False)
class Toy:
    """Fit set, another fit set, ID test set, one with an all-zero row, one of ties, OOD set, head.

    Four classes, 24 features after a ReLU. Known images excite the six units of their class;
    unknown ones excite any ten units, unevenly. Ties: values on a coarse grid, in features and in
    logits, an all-zero image, and images of the fit set.
    """

    head: ClassifierHead
    fit: Activations
    other: Activations
    test: Activations
    zero: Activations
    ties: Activations
    ood: Activations
    zero_row: int = _ZERO_ROW

    @classmethod
    def make(cls, seed: int = 0, *, wide: bool = False) -> Toy:
        """The same data for the same seed.

        `wide`: 240 classes, 240 features and a fit set larger than one chunk of a bank, so that
        memory of n x bank or n x classes x features shows.
        """
        rng = np.random.default_rng(seed)
        c, d, n_fit = (240, 240, 4800) if wide else (4, 24, 400)
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
        fit, other = known(n_fit, "toy-fit"), known(240, "toy-other")
        grid = np.concatenate([np.round(fit.features[:41] * 2) / 2, fit.features[:20]])
        grid[_ZERO_ROW] = 0
        return cls(
            head,
            fit=fit,
            other=other,
            test=known(61, "toy-test"),
            zero=known(61, "toy-zero"),
            ties=Activations.from_arrays(grid, np.round(head.logits(grid)), name="toy-ties"),
            ood=images(strange, "toy-ood", None),
        )

    def suited_to(self, needs: Collection[str]) -> Toy:
        """The same with a zero-shot head, as if its logits were cosines, for what needs one."""
        if "zero_shot" not in needs:
            return self
        return replace(self, head=replace(self.head, temperature=1.0))

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

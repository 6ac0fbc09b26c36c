"""Fixtures that several test folders share. Keep it small."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ood_core.activations import PENULTIMATE, Activations
from ood_core.models import ClassifierHead


class FakeSet(dict):
    """What `extract` returns, as far as scoring looks at it."""

    fingerprint = "made-by-hand"

    def __init__(self, sets, head, near=("near",), detectors=None):
        super().__init__(sets)
        self.head = head
        self.layers = (SimpleNamespace(name="early"), SimpleNamespace(name=PENULTIMATE))
        self.experiment = SimpleNamespace(
            name="fake", fit_set="fit", test_set="test", ood_sets=("near", "far"), near=near,
            sets=dict.fromkeys(sets), detectors=detectors or {},
        )  # fmt: skip


@pytest.fixture
def acts_set() -> FakeSet:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 8))
    sizes = {"fit": (200, 2.0), "test": (90, 2.0), "near": (70, 1.0), "far": (50, 0.2)}

    def make(name: str) -> Activations:
        n, scale = sizes[name]
        h = np.maximum(scale * rng.normal(0.5, 1, (n, 8)), 0).astype(np.float32)
        return Activations.from_arrays(
            h, h @ weight.T, rng.integers(0, 3, n), name=name, layers={"early": h[:, :5] + 1}
        )

    return FakeSet({name: make(name) for name in sizes}, ClassifierHead(weight))

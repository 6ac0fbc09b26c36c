"""Golden inputs and small data that the detector tests share."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ood_core.activations import Activations, LayerRecord
from ood_core.models import ClassifierHead

GOLDEN = Path(__file__).parents[1] / "golden" / "golden.json"


@pytest.fixture(scope="session")
def golden() -> SimpleNamespace:
    """Inputs and expected scores; null in the file is -inf."""
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))
    arrays = {k: np.array(v) for k, v in stored["inputs"].items()}
    head = ClassifierHead(arrays["W"], arrays["b"])
    expected = {
        name: np.array([-np.inf if v is None else v for v in values])
        for name, values in stored["expected_higher_is_ID"].items()
    }

    def activations(dtype: type) -> tuple[Activations, Activations]:
        h, y, t = arrays["Htr"].astype(dtype), arrays["ytr"], arrays["Hte"].astype(dtype)
        fit = Activations.from_arrays(h, head.logits(h).astype(dtype), y, name="fit")
        test = Activations.from_arrays(t, head.logits(t).astype(dtype), name="test")
        return fit, test

    return SimpleNamespace(head=head, expected=expected, activations=activations, **arrays)


@pytest.fixture(scope="session")
def small() -> SimpleNamespace:
    """Random ReLU features: 5 classes, 12 units (one dead), 90 fit and 20 test rows, one zero."""
    rng = np.random.default_rng(7)
    c, d = 5, 12
    head = ClassifierHead(rng.standard_normal((c, d)), 0.3 * rng.standard_normal(c))
    labels = np.arange(90) % c

    def features(y: np.ndarray) -> np.ndarray:
        h = np.maximum(0.7 * head.weight[y] + 0.5 * rng.standard_normal((len(y), d)), 0)
        h[:, 4] = 0
        return h

    h_fit, h = features(labels), features(np.arange(20) % c)
    h[3] = 0
    return SimpleNamespace(
        head=head,
        W=head.weight,
        b=head.bias,
        labels=labels,
        h_fit=h_fit,
        h=h,
        z_fit=head.logits(h_fit),
        z=head.logits(h),
        fit=Activations.from_arrays(h_fit, head.logits(h_fit), labels, name="fit"),
        test=Activations.from_arrays(h, head.logits(h), name="test"),
    )


@pytest.fixture(scope="session")
def mapped() -> tuple[Activations, np.ndarray]:
    """Activations with a recorded 6-channel layer of 3 x 2 positions, and its maps."""
    rng = np.random.default_rng(5)
    maps = np.maximum(rng.standard_normal((15, 6, 3, 2)), 0)
    maps[:, 2] *= rng.random((15, 1, 1)) < 0.5
    flat = maps.reshape(15, -1)
    record = LayerRecord(
        pooled=maps.mean(axis=(2, 3)),
        active_fraction=(maps > 0).mean(axis=(2, 3)),
        l1=flat.sum(axis=1),
        l2=np.linalg.norm(flat, axis=1),
        l0=(flat > 0).sum(axis=1),
        negatives=(flat < 0).sum(axis=1),
        positions=6,
    )
    features = np.maximum(rng.standard_normal((15, 4)), 0)
    return Activations.from_arrays(features, layers={"conv": record}, name="maps"), maps

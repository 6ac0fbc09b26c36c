"""Golden inputs and small data that the detector tests share."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ood_core.activations import Activations
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

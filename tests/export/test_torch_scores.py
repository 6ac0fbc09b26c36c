from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import all_detectors, make_detector
from ood_core.errors import ConfigError
from ood_core.export.torch_scores import exportable, torch_score
from ood_core.models import ClassifierHead

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "golden.json").read_text())["inputs"]


@pytest.mark.parametrize("name", exportable())
def test_torch_form_equals_the_numpy_score(name: str) -> None:
    import torch

    data = {k: np.array(v) for k, v in GOLDEN.items()}
    head = ClassifierHead(data["W"], data["b"])
    fit = Activations.from_arrays(data["Htr"], head.logits(data["Htr"]), data["ytr"])
    new = Activations.from_arrays(data["Hte"], head.logits(data["Hte"]))
    params = {"knn": {"k": 5}, "nnguide": {"k": 5}}.get(name, {})
    fitted = make_detector(name, **params).fit(fit, head)
    expected = fitted.score_samples(new)
    found = torch_score(fitted)(torch.tensor(new.features), torch.tensor(new.logits)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_what_cannot_be_exported_is_told() -> None:
    assert set(exportable()) <= set(all_detectors())
    data = np.abs(np.random.default_rng(0).normal(size=(40, 6)))
    acts = Activations.from_arrays(data, data[:, :3], np.arange(40) % 3, layers={"early": data})
    head = ClassifierHead(np.eye(3, 6))
    fusion = make_detector("nan+knn", k=3).fit(acts, head)
    with pytest.raises(
        ConfigError, match=r"'negative_aware_norm\+knn' cannot be exported\. Exportable: ash_b"
    ):
        torch_score(fusion)
    early = make_detector("nan", layer="early").fit(acts, head)
    with pytest.raises(ConfigError, match="reads layer 'early'"):
        torch_score(early)

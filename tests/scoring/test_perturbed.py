"""ODIN with ε > 0 through scoring: the images are found again and pushed through the model."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core import load_experiment, scoring
from ood_core.activations import Activations, prepared
from ood_core.errors import DataError
from ood_core.scoring.perturbed import forward_pass


@pytest.fixture
def digits(digits_home, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    return prepared(load_experiment("digits"))


def test_forward_pass_equals_one_image_at_a_time(digits):
    import torch

    from ood_core.activations.resident_models import resident_model
    from ood_core.data import Transform, open_dataset

    exp = digits.experiment
    part = digits["photos"].take(np.array([400, 3, 77]))
    found = forward_pass(exp)(part, 0.01, 1000.0)
    loaded = resident_model(exp)
    images = open_dataset(exp.sets["photos"])
    for row, number in enumerate((400, 3, 77)):
        x = torch.from_numpy(Transform(loaded.preprocessing)(images.load(number)))[None]
        x.requires_grad_(True)
        z = loaded.module(x) / 1000.0
        torch.nn.functional.cross_entropy(z, z.argmax(1)).backward()
        std = torch.tensor(loaded.preprocessing.std).view(-1, 1, 1)
        with torch.no_grad():
            slow = loaded.module(x - 0.01 * x.grad.sign() / std)[0]
        np.testing.assert_allclose(found[row], slow.numpy(), rtol=1e-4, atol=1e-5)


def test_scoring_gives_odin_its_model(digits):
    stored = scoring.score(digits, "odin", ood_sets=["noise"])
    moved = scoring.score(digits, "odin", {"epsilon": 1e-9}, ood_sets=["noise"])
    np.testing.assert_allclose(moved.id_scores, stored.id_scores, rtol=1e-5)
    far = scoring.score(digits, "odin", {"epsilon": 0.02}, ood_sets=["noise"])
    assert np.abs(far.id_scores - stored.id_scores).max() > 1e-6
    assert far.params["epsilon"] == 0.02


def test_rows_without_images_are_an_error(digits):
    upload = Activations.from_arrays(np.ones((1, 4)), name="upload")
    with pytest.raises(DataError, match=r"'upload' is not a data set .* Set epsilon = 0"):
        forward_pass(digits.experiment)(upload, 0.1, 1.0)

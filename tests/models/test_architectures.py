from __future__ import annotations

import pytest
import torch

from ood_core.models import architectures, load_model, model_fingerprint
from ood_core.models.architectures import torchvision_zoo

NEW = """
from torch import nn

NAMES = ("two_layers",)


def build(name, num_classes):
    layers = nn.Flatten(), nn.Linear(3 * 32 * 32, 6), nn.ReLU(), nn.Linear(6, num_classes)
    return nn.Sequential(*layers)


def adapt(state):
    return {key.replace("classifier", "3"): value for key, value in state.items()}
"""


@pytest.fixture
def new_architecture(tmp_path, monkeypatch):
    """One more file where architectures are looked for."""
    (tmp_path / "two_layers.py").write_text(NEW)
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(tmp_path)])
    architectures._modules.cache_clear()
    yield
    architectures._modules.cache_clear()


def test_one_file_adds_one_architecture(new_architecture, experiment, tmp_path):
    assert "two_layers" in architectures.architectures()
    state = architectures.build("two_layers", 4).state_dict()
    path = tmp_path / "net.pth"
    torch.save({k.replace("3.", "classifier."): v for k, v in state.items()}, path)
    exp = experiment("two_layers", checkpoint=path, num_classes=4)
    loaded = load_model(exp)
    assert loaded.head.weight.shape == (4, 6)
    assert loaded.fingerprint == model_fingerprint(exp)


def test_old_densenet_names_and_auxiliary_heads_are_brought_up_to_date():
    state = {
        "features.denseblock1.denselayer2.norm.1.weight": torch.ones(1),
        "aux1.fc.weight": torch.ones(1),
        "AuxLogits.fc.weight": torch.ones(1),
        "classifier.weight": torch.ones(1),
    }
    assert list(torchvision_zoo.adapt(state)) == [
        "features.denseblock1.denselayer2.norm1.weight",
        "classifier.weight",
    ]


def test_networks_take_the_form_that_their_weights_need():
    with torch.device("meta"):
        large = torchvision_zoo.build("vit_b_16", None, "IMAGENET1K_SWAG_E2E_V1")
    assert large.image_size == 384
    assert torchvision_zoo.build("googlenet", None, "IMAGENET1K_V1").transform_input
    assert not torchvision_zoo.build("googlenet", 10).transform_input


def test_weight_names():
    assert torchvision_zoo.weight_names("resnet50") == ["IMAGENET1K_V1", "IMAGENET1K_V2"]

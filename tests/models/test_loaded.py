from __future__ import annotations

import pytest
import torch

from ood_core.errors import ModelError
from ood_core.experiments import Preprocessing
from ood_core.models import load_model, to_positions
from ood_core.models.architectures import architectures, build

BUILT_IN = {
    "densenet_bc100_12": 342,
    "resnet20": 64,
    "resnet32": 64,
    "resnet44": 64,
    "resnet56": 64,
    "resnet110": 64,
    "resnet18_32x32": 512,
    "wrn40_2": 128,
}
ZOO = {
    "torchvision:resnet50": (2048, "layer4.2", (2048, 7, 7), 0, False),
    "torchvision:mobilenet_v2": (1280, "features.18", (1280, 7, 7), 0, False),
    "torchvision:efficientnet_b0": (1280, "features.8", (1280, 7, 7), 0, True),
    "torchvision:convnext_tiny": (768, "features.7.2", (768, 7, 7), 0, True),
    "torchvision:vit_b_16": (768, "encoder.layers.encoder_layer_11", (197, 768), 1, True),
    "torchvision:swin_t": (768, "features.7.1", (7, 7, 768), 2, True),
    "timm:convnext_atto": (320, "stages.3.blocks.1", (320, 7, 7), 0, True),
    "timm:vit_tiny_patch16_224": (192, "blocks.11", (197, 192), 1, True),
}


def head_error(loaded) -> float:
    """Largest |h Wᵀ + b - logits| relative to the largest logit, on fresh images."""
    seen = []
    handle = loaded.head_module.register_forward_pre_hook(
        lambda _m, inputs: seen.append(inputs[0].clone())
    )
    logits = loaded.module(torch.randn(2, *loaded.input_shape)).numpy()
    handle.remove()
    features = to_positions(seen[0], loaded.layers[-1])[..., 0].numpy()
    return float(abs(loaded.head.logits(features) - logits).max() / abs(logits).max())


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_networks(name, experiment):
    loaded = load_model(experiment(name, random_weights=0, num_classes=7))
    assert loaded.head.weight.shape == (7, BUILT_IN[name])
    assert head_error(loaded) < 1e-5
    assert 5 <= len(loaded.layers) <= 24
    assert not loaded.module.training
    assert not any(p.requires_grad for p in loaded.module.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_networks_of_torchvision_and_timm(name, experiment):
    pytest.importorskip(name.partition(":")[0])
    features, deepest, shape, axis, signed = ZOO[name]
    loaded = load_model(experiment(name, None, random_weights=0))
    assert loaded.head.weight.shape == (1000, features)
    assert head_error(loaded) < 1e-4
    layer = loaded.layers[-2]
    assert (layer.name, layer.shape, layer.channel_axis) == (deepest, shape, axis)
    assert loaded.layers[-1].signed == signed
    assert 5 <= len(loaded.layers) <= 24


def test_every_built_in_architecture_is_tested():
    assert set(architectures()) == {*BUILT_IN, "digits_cnn"}


def test_torchvision_networks_take_another_class_count(experiment):
    loaded = load_model(
        experiment(
            "torchvision:shufflenet_v2_x0_5", Preprocessing(64, 64), random_weights=0, num_classes=7
        )
    )
    assert loaded.head.n_classes == 7


def test_random_weights_depend_on_their_seed_only(experiment):
    def weight(seed: int):
        return load_model(experiment("resnet20", random_weights=seed)).head.weight

    torch.manual_seed(5)
    first = weight(0)
    torch.manual_seed(6)
    assert (weight(0) == first).all()
    assert (weight(1) != first).any()


def test_a_checkpoint_is_loaded(experiment, tmp_path):
    path = tmp_path / "net.pth"
    state = build("resnet20").state_dict()
    torch.save(state, path)
    loaded = load_model(experiment("resnet20", checkpoint=path))
    assert (loaded.head.weight == state["linear.weight"].double().numpy()).all()


def test_unknown_architectures_list_what_there_is(experiment):
    with pytest.raises(ModelError, match=r"'resnet21'\. Did you mean 'resnet.*timm:NAME"):
        load_model(experiment("resnet21", random_weights=0))
    with pytest.raises(ModelError, match=r"no classifier 'resnet51'\. Did you mean 'resnet50'"):
        load_model(experiment("torchvision:resnet51", random_weights=0))
    pytest.importorskip("timm")
    with pytest.raises(ModelError, match=r"timm has no model 'resnet51'\. Did you mean"):
        load_model(experiment("timm:resnet51", random_weights=0))


def test_a_wrong_class_count(experiment, tmp_path):
    path = tmp_path / "net.pth"
    torch.save(build("resnet20", 10).state_dict(), path)
    with pytest.raises(ModelError, match="The checkpoint has 10 classes: set num_classes to that"):
        load_model(experiment("resnet20", checkpoint=path, num_classes=100))


def test_a_wrong_number_of_class_names(experiment):
    exp = experiment("resnet20", random_weights=0, class_names=("cat", "dog"))
    with pytest.raises(ModelError, match="names 2 classes but its network has 10"):
        load_model(exp)


def test_class_names_reach_the_head(experiment):
    exp = experiment("resnet20", random_weights=0, num_classes=2, class_names=("cat", "dog"))
    assert load_model(exp).head.names == ("cat", "dog")


def test_images_of_no_fixed_size_are_refused(experiment):
    with pytest.raises(ModelError, match="preprocessing needs resize or center_crop"):
        load_model(experiment("resnet20", Preprocessing(), random_weights=0))


def test_one_channel_for_a_colour_network(experiment):
    grey = Preprocessing(32, 32, mean=(0.5,), std=(0.5,), mode="L")
    with pytest.raises(ModelError, match=r"cannot take images of shape \(1, 32, 32\)"):
        load_model(experiment("resnet20", grey, random_weights=0))


def test_unknown_layer(experiment):
    loaded = load_model(experiment("resnet20", random_weights=0))
    assert loaded.layer().channels == 64
    with pytest.raises(ModelError, match="unknown layer 'layer4'"):
        loaded.layer("layer4")

from __future__ import annotations

import threading

import pytest
import torch

from ood_core.errors import ModelError
from ood_core.models import LoadedModel, load_model, tail

ARCHITECTURES = ("densenet_bc100_12", "resnet20", "resnet18_32x32", "wrn40_2")


@pytest.fixture
def model(experiment) -> LoadedModel:
    return load_model(experiment("resnet20", random_weights=3, num_classes=5))


def captured(model: LoadedModel, images: torch.Tensor):
    """Logits and each layer's raw activation, copied as the layer returns it."""
    seen, handles = {}, []
    for layer in model.layers[:-1]:
        handles.append(
            model.module.get_submodule(layer.name).register_forward_hook(
                lambda _m, _i, output, name=layer.name: seen.update({name: output.clone()})
            )
        )
    handles.append(
        model.head_module.register_forward_pre_hook(
            lambda _m, inputs: seen.update(penultimate=inputs[0].clone())
        )
    )
    logits = model.module(images)
    for handle in handles:
        handle.remove()
    return logits, seen


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_layer_alone_gives_the_logits(architecture, experiment):
    model = load_model(experiment(architecture, random_weights=1, num_classes=5))
    logits, seen = captured(model, torch.randn(3, 3, 32, 32))
    assert list(seen) == [layer.name for layer in model.layers]
    for name, activation in seen.items():
        torch.testing.assert_close(tail(model, name)(activation), logits, msg=name)


def test_gradients_reach_the_activation(model):
    activation = torch.randn(2, 64, 8, 8, requires_grad=True)
    logits = tail(model, "layer3.2")(activation)
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), activation)
    expected = torch.as_tensor(model.head.weight[1] / 64, dtype=torch.float32)
    torch.testing.assert_close(gradient, expected[None, :, None, None].expand(2, 64, 8, 8))


def test_the_penultimate_tail_is_the_head(model):
    features = torch.randn(4, 64)
    expected = torch.as_tensor(model.head.logits(features.numpy()), dtype=torch.float32)
    torch.testing.assert_close(tail(model, "penultimate")(features), expected)


def test_the_given_activation_is_not_changed(model):
    activation = torch.randn(2, 16, 32, 32)
    before = activation.clone()
    tail(model, "relu")(activation)
    assert torch.equal(activation, before)


@pytest.mark.parametrize("layer", ["layer2.0", "penultimate"])
def test_the_hook_is_gone_when_the_pass_raises(model, layer):
    with pytest.raises(RuntimeError):
        tail(model, layer)(torch.randn(2, 7))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.module.modules())


def test_passes_of_other_threads_are_left_alone(model):
    images = torch.randn(2, 3, 32, 32)
    expected = model.module(images)
    got: list[torch.Tensor] = []
    stop = threading.Event()

    def other() -> None:
        while not stop.is_set():
            got.append(model.module(images))

    thread = threading.Thread(target=other)
    thread.start()
    for _ in range(5):
        tail(model, "layer1.0")(torch.randn(2, 16, 32, 32))
    stop.set()
    thread.join()
    assert all(torch.allclose(logits, expected, atol=1e-5) for logits in got)


def test_unknown_layers_are_refused(model):
    with pytest.raises(ModelError, match=r"unknown layer 'layer9'\. .*Available"):
        tail(model, "layer9")

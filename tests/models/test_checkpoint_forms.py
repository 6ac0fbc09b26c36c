"""Checkpoints as people have them: every line of the table in docs/bring-your-own.md."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
import torch
from torch import nn

from ood_core.errors import ModelError
from ood_core.experiments import ClassifierSpec, Preprocessing
from ood_core.models import load_model, model_fingerprint, nearest
from ood_core.models.architectures import build
from ood_core.models.fitting import randomise
from ood_core.models.key_order import in_order
from ood_core.models.nearest import checkpoint_channels, checkpoint_classes, nearest_architectures

GREY = Preprocessing(32, 32, mean=(0.5,), std=(0.5,), mode="L")


@pytest.fixture(autouse=True)
def few_architectures(monkeypatch):
    monkeypatch.setattr(nearest, "_names", lambda: ("digits_cnn", "resnet20", "resnet32"))


def weights(seed: int = 1, architecture: str = "resnet20", channels: int | None = None):
    return randomise(lambda: build(architecture, 10, None, channels), seed).state_dict()


WHOLE = weights()
ENCODER = {k: v for k, v in WHOLE.items() if not k.startswith("linear.")}
OTHER = {k: v + 1 for k, v in ENCODER.items()}


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def mlp(prefix, *widths):
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    return under(prefix, nn.Sequential(*layers).state_dict())


ENCODERS = {
    "bare": lambda: ENCODER,
    "with its head": lambda: WHOLE,
    "in model": lambda: {"model": ENCODER},
    "in backbone": lambda: {"backbone": ENCODER},
    "in online_network": lambda: {"online_network": ENCODER, "epoch": 3},
    "ddp, compiled": lambda: under("module._orig_mod.", ENCODER),
    "lightning": lambda: {"state_dict": under("encoder.", ENCODER), "hyper_parameters": {"lr": 1}},
    "simclr": lambda: under("backbone.", ENCODER) | mlp("projector.", 64, 64, 128),
    "simclr, projection as fc": lambda: under("backbone.", ENCODER | mlp("linear.", 64, 64, 128)),
    "supcon": lambda: {"model": under("encoder.", ENCODER) | mlp("head.", 64, 64, 128)},
    "swav": lambda: under(
        "module.",
        ENCODER | mlp("projection_head.", 64, 32) | {"prototypes.weight": torch.ones(50, 32)},
    ),
    "moco v1": lambda: {
        "state_dict": under("module.encoder_q.", ENCODER | {"linear.weight": torch.ones(32, 64)})
        | under("module.encoder_k.", OTHER | {"linear.weight": torch.ones(32, 64)})
        | {"module.queue": torch.ones(32, 99), "module.queue_ptr": torch.zeros(1).long()}
    },
    "moco v2": lambda: {
        "state_dict": under("module.encoder_q.", ENCODER | mlp("linear.", 64, 64, 32))
        | under("module.encoder_k.", OTHER | mlp("linear.", 64, 64, 32))
        | {"module.queue": torch.ones(32, 99)}
    },
    "byol": lambda: (
        under("online_encoder.net.", ENCODER)
        | under("target_encoder.net.", OTHER)
        | mlp("online_predictor.", 64, 64)
    ),
    "dino": lambda: {
        "student": under("module.backbone.", OTHER),
        "teacher": under("backbone.", ENCODER) | mlp("head.mlp.", 64, 32),
        "dino_loss": {"center": torch.zeros(1, 9)},
    },
    "solo-learn": lambda: {
        "state_dict": under("backbone.", ENCODER)
        | under("momentum_backbone.", OTHER)
        | under("classifier.", {"weight": torch.ones(10, 64), "bias": torch.ones(10)})
    },
    "vissl": lambda: {
        "classy_state_dict": {
            "base_model": {
                "model": {
                    "trunk": under("_feature_blocks.", ENCODER),
                    "heads": mlp("0.clf.", 64, 32),
                }
            }
        }
    },
    "auxiliary head": lambda: ENCODER | mlp("rotation.", 64, 4) | mlp("g.", 64, 9),
}


@pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)
def test_an_encoder_is_loaded_without_its_heads(make, experiment, tmp_path):
    torch.save(make(), tmp_path / "net.pth")
    found = load_model(experiment("resnet20", checkpoint=tmp_path / "net.pth", num_classes=0))
    assert found.head is None
    state = found.module.state_dict()
    assert all(torch.equal(state[name], ENCODER[name]) for name in state)


@pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)
def test_an_encoder_is_recognised(make, tmp_path):
    torch.save(make(), tmp_path / "net.pth")
    assert nearest_architectures(tmp_path / "net.pth")[0] == ("resnet20", 1.0)
    classifier = make in (ENCODERS["with its head"], ENCODERS["solo-learn"])
    assert checkpoint_classes(tmp_path / "net.pth", "resnet20") == (10 if classifier else 0)


@pytest.mark.parametrize(
    ("name", "said"),
    {
        "bare": "It holds the whole encoder, and no classifier",
        "supcon": "no classifier",
        "swav": r"projection_head \(a projection head\), prototypes \(prototypes\)",
        "simclr, projection as fc": "linear.0, linear.1 in place of the head linear",
        "moco v1": "queue holds features of other images",
        "dino": "no classifier",
    }.items(),
)
def test_an_encoder_is_no_classifier(name, said, experiment, tmp_path):
    torch.save(ENCODERS[name](), tmp_path / "net.pth")
    for classes in (10, 32):
        with pytest.raises(ModelError, match=said) as caught:
            load_model(experiment("resnet20", checkpoint=tmp_path / "net.pth", num_classes=classes))
        assert "num_classes = 0" in str(caught.value)


def test_what_was_left_out_is_named_with_its_kind(experiment, tmp_path):
    torch.save(ENCODERS["swav"](), tmp_path / "net.pth")
    report = load_model(
        experiment("resnet20", checkpoint=tmp_path / "net.pth", num_classes=0)
    ).weights
    assert "projection_head (a projection head), prototypes (prototypes)" in report.text


@pytest.mark.parametrize(
    "change",
    [
        lambda: weights(1, "resnet32"),
        lambda: {k: v for k, v in ENCODER.items() if k != "layer3.2.bn2.running_var"},
        lambda: ENCODER | {"layer3.7.conv1.weight": torch.ones(64, 64, 3, 3)},
        lambda: ENCODER | {"norm_pre.weight": torch.ones(64), "norm_pre.bias": torch.ones(64)},
        lambda: ENCODER | {"conv9.weight": torch.ones(64, 64, 3, 3)},
        lambda: ENCODER | {"bn1.weight": torch.ones(3)},
        lambda: ENCODER | {"reg_token": torch.ones(1, 4, 64)},
        lambda: ENCODER | {"scale": torch.ones(64, 64)},
        lambda: ENCODER | mlp("attn_pool.", 64, 64),
    ],
)
def test_what_may_belong_to_an_encoder_is_never_left_out(change, experiment, tmp_path):
    torch.save(change(), tmp_path / "net.pth")
    with pytest.raises(ModelError, match="does not fit 'resnet20', nothing was loaded"):
        load_model(experiment("resnet20", checkpoint=tmp_path / "net.pth", num_classes=0))


HEAD = {"weight": WHOLE["linear.weight"], "bias": WHOLE["linear.bias"]}
HEADED = {
    "mmpretrain": lambda: {
        "meta": {}, "state_dict": under("backbone.", ENCODER) | under("head.fc.", HEAD),
    },
    "solo-learn": lambda: {
        "state_dict": under("backbone.", ENCODER) | under("classifier.", HEAD)
        | mlp("projector.", 64, 32),
    },
    "projection beside it": lambda: WHOLE | mlp("projector.", 64, 32) | mlp("aux_head.", 64, 5),
    "fsdp": lambda: under("_fsdp_wrapped_module.", WHOLE),
    "fp64": lambda: {k: v.double() if v.is_floating_point() else v for k, v in WHOLE.items()},
} | {
    name: lambda name=name: ENCODER | under(f"{name}.", HEAD)
    for name in ("fc", "last_linear", "classifier.1", "fc.0", "heads.head", "head", "output")
}  # fmt: skip


@pytest.mark.parametrize("make", HEADED.values(), ids=HEADED)
def test_a_classifier_is_loaded_with_its_head(make, experiment, tmp_path):
    torch.save(make(), tmp_path / "net.pth")
    found = load_model(experiment("resnet20", checkpoint=tmp_path / "net.pth", num_classes=10))
    state = found.module.state_dict()
    assert all(torch.equal(state[name], WHOLE[name]) for name in state)


@pytest.mark.parametrize("name", HEADED)
def test_the_classes_of_a_classifier_are_found(name, tmp_path):
    torch.save(HEADED[name](), tmp_path / "net.pth")
    assert checkpoint_classes(tmp_path / "net.pth", "resnet20") == 10


def test_a_linear_projection_beside_an_encoder_is_not_its_head(experiment, tmp_path):
    torch.save(under("backbone.", ENCODER) | under("projector.", HEAD), tmp_path / "net.pth")
    with pytest.raises(ModelError, match="num_classes = 0"):
        load_model(experiment("resnet20", checkpoint=tmp_path / "net.pth", num_classes=10))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_other_widths_become_float32_and_are_said(kind, experiment, tmp_path):
    torch.save({k: v.to(kind) for k, v in WHOLE.items()}, tmp_path / "net.pth")
    found = load_model(experiment("resnet20", checkpoint=tmp_path / "net.pth", num_classes=10))
    assert {p.dtype for p in found.module.parameters()} == {torch.float32}
    assert str(kind).removeprefix("torch.") in found.weights.text


def test_a_network_for_grey_images(experiment, tmp_path):
    path = tmp_path / "net.pth"
    state = weights(1, channels=1)
    assert state["conv1.weight"].shape[1] == 1
    torch.save(state, path)
    assert nearest_architectures(path) == [("resnet20", 1.0)]
    assert (checkpoint_channels(path, "resnet20"), checkpoint_classes(path, "resnet20")) == (1, 10)
    found = load_model(experiment("resnet20", GREY, checkpoint=path, num_classes=10))
    assert torch.equal(found.module.conv1.weight, state["conv1.weight"])
    with pytest.raises(ModelError, match=r'takes grey images, 1 channel: set mode = "L"'):
        load_model(experiment("resnet20", checkpoint=path, num_classes=10))
    torch.save(WHOLE, path)
    with pytest.raises(ModelError, match=r'takes colour images, 3 channels: set mode = "RGB"'):
        load_model(experiment("resnet20", GREY, checkpoint=path, num_classes=10))


def folded():
    """resnet20 with batch norm in the convolutions' biases."""
    state = {k: v for k, v in WHOLE.items() if "bn" not in k}
    convs = [k.removesuffix("weight") for k, v in state.items() if v.ndim == 4]
    return state | {f"{k}bias": torch.ones(4) for k in convs}


def test_folded_batch_norm_is_named(experiment, tmp_path):
    torch.save(folded(), tmp_path / "net.pth")
    with pytest.raises(ModelError, match="Batch norm was folded into the convolutions"):
        load_model(experiment("resnet20", checkpoint=tmp_path / "net.pth", num_classes=10))


def renamed(state):
    """Names of other words: `stage1.0.c1.weight`."""
    words = (("layer", "stage"), ("conv", "c"), ("bn", "n"), ("linear", "out"))
    for old, new in words:
        state = {k.replace(old, new): v for k, v in state.items()}
    return state


@pytest.mark.parametrize("ordered", [dict, lambda s: dict(sorted(s.items()))])
@pytest.mark.parametrize("classes", [10, 0])
def test_tensors_are_told_by_order_and_shape(ordered, classes, experiment, tmp_path):
    torch.save(ordered(renamed(WHOLE)), tmp_path / "net.pth")
    fields = {"checkpoint": tmp_path / "net.pth", "num_classes": classes}
    with pytest.raises(ModelError, match="does not fit"):
        load_model(experiment("resnet20", **fields))
    found = load_model(experiment("resnet20", keys="in order", **fields))
    state = found.module.state_dict()
    assert all(torch.equal(state[name], WHOLE[name]) for name in state)
    assert "stage1.0.c1.weight → layer1.0.conv1.weight" in str(dict(found.weights.renamed)).replace(
        "': '", " → "
    )


def test_the_mapping_is_part_of_the_fingerprint(experiment, tmp_path):
    torch.save(WHOLE, tmp_path / "net.pth")
    plain = experiment("resnet20", checkpoint=tmp_path / "net.pth", num_classes=10)
    spec = dataclasses.replace(plain.classifier, keys="in order")
    assert isinstance(spec, ClassifierSpec)
    assert model_fingerprint(plain) != model_fingerprint(
        dataclasses.replace(plain, classifier=spec)
    )


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("b.x.weight", "b.y.weight"), "neither order nor words tell which comes first"),
        (("b.conv2.weight", "b.conv10.weight"), None),
    ],
)
def test_equal_shapes_in_a_sorted_file(names, said):
    state = dict(sorted({name: torch.ones(4, 4) for name in names}.items()))
    wanted = {"first.weight": (4, 4), "second.weight": (4, 4)}
    if said is None:
        assert in_order(state, wanted) == dict(zip(names, wanted, strict=True))
        return
    with pytest.raises(ModelError, match=said):
        in_order(state, wanted)


def test_vectors_of_one_module_are_told_by_their_last_names():
    ends = ("moving_variance", "beta", "moving_mean", "gamma")
    state = {f"n.{end}": torch.ones(4) for end in ends}
    wanted = {f"bn.{end}": (4,) for end in ("weight", "bias", "running_mean", "running_var")}
    assert in_order(state, wanted) == {
        "n.moving_variance": "bn.running_var", "n.beta": "bn.bias",
        "n.moving_mean": "bn.running_mean", "n.gamma": "bn.weight",
    }  # fmt: skip
    with pytest.raises(ModelError, match=r"no further module with .* as the network's bn"):
        in_order({f"n.{letter}": torch.ones(4) for letter in "abcd"}, wanted)


def test_words_around_an_encoder_do_not_change_the_order_of_comparison():
    shapes = [{name: tuple(v.shape) for name, v in ENCODER.items()}]
    around = under("module.backbone.", shapes[0]) | {"module.projector.0.weight": (64, 64)}
    assert list(nearest._in_order([around], None, ())) == list(nearest._in_order(shapes, None, ()))

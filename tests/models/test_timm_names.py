"""Checkpoints of timm's networks, and which architecture is tried first."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch

from ood_core.models import nearest
from ood_core.models.architectures import build, collection
from ood_core.models.known_shapes import known_shapes
from ood_core.models.named_architectures import named_in_path, names_written
from ood_core.models.nearest import checkpoint_classes, nearest_architectures
from ood_core.models.network_shapes import shapes_built_by
from ood_core.models.search_order import likely_names, words_of


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path_factory.mktemp("home")))
    # What is found, not how soon: a loaded machine would end the comparison.
    monkeypatch.setattr(nearest, "SECONDS", 1e9)


@pytest.fixture
def tried(monkeypatch) -> list[str]:
    """Architectures that were compared, in order."""
    seen: list[str] = []
    share = nearest._share

    def noted(name: str, found) -> float:
        seen.append(name)
        return share(name, found)

    monkeypatch.setattr(nearest, "_share", noted)
    return seen


def saved(path: Path, architecture: str, classes: int = 5, **more) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": build(architecture, classes).state_dict()} | more, path)
    return path


def test_the_file_s_own_name_is_tried_first(tmp_path, tried) -> None:
    pytest.importorskip("timm")
    path = saved(tmp_path / "mobilenetv3_small_050-best.pt", "timm:mobilenetv3_small_050", 7)
    assert nearest_architectures(path) == [("timm:mobilenetv3_small_050", 1.0)]
    assert next(n for n in dict.fromkeys(tried) if n.startswith("timm:")) == (
        "timm:mobilenetv3_small_050"
    )  # fmt: skip
    assert checkpoint_classes(path, "timm:mobilenetv3_small_050") == 7


@pytest.mark.parametrize(
    ("architecture", "prefix"), [("timm:lcnet_035", ""), ("timm:repvit_m0_9", "model.")]
)
def test_without_a_name_the_words_of_the_source_tell(tmp_path, tried, architecture, prefix) -> None:
    pytest.importorskip("timm")
    state = {f"{prefix}{k}": v for k, v in build(architecture, 5).state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "best.ckpt")
    ((name, share), *_) = nearest_architectures(tmp_path / "best.ckpt")
    assert (name, share) == (architecture, 1.0)
    assert len(set(tried)) < 250, "not all of timm was built"


@pytest.mark.parametrize(
    ("architecture", "before"), [("vit_small_patch16_224", 60), ("convnext_atto", 5)]
)
def test_encoders_whose_words_many_networks_have_come_early(architecture, before) -> None:
    """timm's shared layers have the words of every transformer: the files' own tell."""
    pytest.importorskip("timm")
    names = collection("timm:").names()
    words = words_of(known_shapes(f"timm:{architecture}"))
    order = likely_names([f"timm:{name}" for name in names], words, lambda _: [])
    assert f"timm:{architecture}" in itertools.islice(order, before)


def test_what_was_found_is_kept(tmp_path, tried) -> None:
    pytest.importorskip("timm")
    path = saved(tmp_path / "lcnet_035.pt", "timm:lcnet_035")
    first = nearest_architectures(path)
    tried.clear()
    assert nearest_architectures(path) == first
    assert not tried
    nearest_architectures(saved(tmp_path / "lcnet_035.pt", "timm:lcnet_050"))
    assert tried, "another network under the same name is compared anew"


def test_hugging_face_s_config_names_timm_s_network(tmp_path, tried) -> None:
    pytest.importorskip("timm")
    path = saved(tmp_path / "hub" / "pytorch_model.bin", "timm:resnet18")
    config = {"architecture": "resnet18", "num_classes": 5, "pretrained_cfg": {"tag": "a1_in1k"}}
    (path.parent / "config.json").write_text(json.dumps(config))
    assert nearest_architectures(path) == [("timm:resnet18", 1.0)]
    assert set(tried) == {"timm:resnet18"}


def test_two_forms_of_the_same_shapes_are_both_named(tmp_path) -> None:
    pytest.importorskip("timm")
    forms = ["timm:tf_efficientnet_lite0", "timm:efficientnet_lite0"]
    for classes, expected in ((1000, forms), (5, forms[::-1])):
        path = saved(tmp_path / f"efficientnet_lite0_{classes}.pt", forms[0], classes)
        assert nearest_architectures(path) == [(name, 1.0) for name in expected]


def test_the_real_network_is_found(real_data) -> None:
    pytest.importorskip("timm")
    path = real_data / "checkpoints" / "efficientnet_lite0_imagenet.safetensors"
    assert nearest_architectures(path)[0] == ("timm:tf_efficientnet_lite0", 1.0)


@pytest.mark.parametrize(
    "architecture",
    ["resnet20", "torchvision:vit_b_16", "torchvision:swin_t", "torchvision:convnext_tiny",
     "timm:xcit_nano_12_p8_224", "timm:lcnet_035", "timm:swinv2_cr_tiny_224", "timm:regnetx_002"],
)  # fmt: skip
def test_shapes_are_those_of_the_network(architecture) -> None:
    if architecture.startswith("timm:"):
        pytest.importorskip("timm")
    found = shapes_built_by(lambda: build(architecture, 7))
    assert found == {k: tuple(v.shape) for k, v in build(architecture, 7).state_dict().items()}


def test_names_are_read_where_scripts_write_them(tmp_path) -> None:
    import argparse

    path = tmp_path / "x.pt"
    assert names_written(path, {"arch": "resnet50", "epoch": 3}) == ["resnet50"]
    assert names_written(path, {"args": argparse.Namespace(model="vit_tiny_patch16_224")}) == [
        "vit_tiny_patch16_224"
    ]
    hyper = {"hyper_parameters": {"model_name": "hf_hub:timm/resnet50.a1_in1k", "lr": 0.1}}
    assert names_written(path, hyper) == ["resnet50"]
    (tmp_path / "config.json").write_text("[1, 2")
    assert names_written(path, {"model": {"a": torch.ones(1)}, "arch": 3}) == []
    from safetensors.torch import save_file

    other = tmp_path / "sub" / "y.safetensors"
    other.parent.mkdir()
    save_file({"a": torch.ones(1)}, other, metadata={"architecture": "resnet20"})
    assert names_written(other, {}) == ["resnet20"]


def test_names_in_paths_are_whole_words() -> None:
    known = ["resnet50", "resnet50_gn", "vgg16", "dla34"]
    assert named_in_path(Path("a/resnet50-gn_best.pt"), known) == ["resnet50_gn", "resnet50"]
    assert named_in_path(Path("resnet501.pt"), known) == []
    assert named_in_path(Path("vgg16/run3/best.pt"), known) == ["vgg16"]


def test_words_are_names_without_numbers() -> None:
    assert words_of(["layer1.0.conv1.weight", "fc.bias"]) == {"layer", "conv", "fc"}


def test_time_is_bounded_and_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(nearest, "_names", lambda: ("digits_cnn", "resnet20", "resnet32"))
    path, seen = saved(tmp_path / "net.pt", "resnet32"), []
    monkeypatch.setattr(nearest, "SECONDS", -1.0)
    assert nearest_architectures(path, progress=seen.append) == []
    monkeypatch.setattr(nearest, "SECONDS", 30.0)
    assert nearest_architectures(path, progress=seen.append) == [("resnet32", 1.0)], "not kept"
    assert [p.stage.split(";")[0] for p in seen][-1] == "Comparing with resnet32"
    from ood_core.errors import StoppedError

    path = saved(tmp_path / "other.pt", "resnet32", 9)
    with pytest.raises(StoppedError):
        nearest_architectures(path, should_stop=lambda: True)


def test_what_resembles_nothing_has_no_nearest(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(nearest, "_names", lambda: ("digits_cnn", "resnet20", "resnet32"))
    torch.save({"tower.a.weight": torch.ones(3, 3)}, tmp_path / "x.pt")
    assert nearest_architectures(tmp_path / "x.pt") == []


def test_without_timm_nothing_of_it_is_compared(tmp_path, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    assert not [n for n in nearest._names() if n.startswith("timm:")]
    assert collection("timm:") is not None

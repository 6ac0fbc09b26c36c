"""Folders of Hugging Face: the same logits and features, and nothing run or fetched."""

from __future__ import annotations

import json
import os
import pickle
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ood_core.errors import ConfigError, ModelError
from ood_core.experiments import ClassifierSpec, parse_experiment
from ood_core.models import load_model
from ood_core.models.fingerprint import model_fingerprint
from ood_core.models.loaded import inspect_module
from ood_core.models.network_files import (
    hugging_face,
    network_class_names,
    network_files,
    open_network,
)
from tests.models.huggingface_folders import FAMILIES, SIDE, as_hub_cache, edit, images, saved

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:transformers")

SHAPE = (3, SIDE, SIDE)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("a network connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def spec_of(folder: Path, num_classes: int | None = None) -> ClassifierSpec:
    return ClassifierSpec("huggingface", checkpoint=folder, num_classes=num_classes)


def opened(folder: Path, num_classes: int | None = None) -> nn.Module:
    return open_network(spec_of(folder, num_classes)).requires_grad_(False)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(tmp_path: Path, family: str) -> None:
    own = saved(tmp_path, family, "ForImageClassification")
    module = opened(tmp_path)
    with torch.no_grad():
        expected, found = own(pixel_values=images()).logits, module(images())
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert expected.std() > 1e-4
    network = inspect_module(module, SHAPE)
    assert network.head is not None
    assert network.head.n_classes == 3
    assert len(network.layers) >= 2
    bare = opened(tmp_path, 0)
    features = bare(images()).flatten(1).double().numpy()
    assert abs(network.head.logits(features) - expected.double().numpy()).max() < 1e-5


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in ("CLIP", "Siglip")])
def test_a_network_without_a_head_gives_what_its_head_would_be_given(
    tmp_path: Path, family: str
) -> None:
    own = saved(tmp_path / "whole", family, "ForImageClassification")
    base = getattr(own, own.base_model_prefix)
    base.save_pretrained(tmp_path / "base")
    with torch.no_grad():
        expected = opened(tmp_path / "whole", 0)(images())
        found = opened(tmp_path / "base", 0)(images())
    torch.testing.assert_close(found, expected.reshape(found.shape), rtol=0, atol=0)
    assert inspect_module(opened(tmp_path / "base", 0), SHAPE, headless=True).head is None


@pytest.mark.parametrize("family", ["CLIP", "Siglip"])
def test_image_features_are_projected_to_the_space_of_the_texts(
    tmp_path: Path, family: str
) -> None:
    own = saved(tmp_path, family, "Model", labels=None)
    with torch.no_grad():
        expected = own.get_image_features(pixel_values=images()).pooler_output
        found = opened(tmp_path, 0)(images())
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("family", "suffix", "field"),
    [
        ("CLIP", "VisionModel", "pooler_output"),
        ("CLIP", "VisionModelWithProjection", "image_embeds"),
        ("Siglip", "VisionModel", "pooler_output"),
    ],
)
def test_image_towers(tmp_path: Path, family: str, suffix: str, field: str) -> None:
    own = saved(tmp_path, family, suffix, labels=None)
    with torch.no_grad():
        expected = getattr(own(pixel_values=images()), field)
        torch.testing.assert_close(opened(tmp_path, 0)(images()), expected, rtol=0, atol=0)


def test_two_heads_that_are_averaged_are_one(tmp_path: Path) -> None:
    own = saved(tmp_path, "DeiT", "ForImageClassificationWithTeacher")
    module = opened(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(module(images()), own(pixel_values=images()).logits)
    found = inspect_module(module, SHAPE)
    assert found.head is not None
    assert found.head.n_features == 64
    assert opened(tmp_path, 0)(images()).shape == (3, 64)


def test_the_pooler_of_pretraining_is_not_the_head_of_a_vit(tmp_path: Path) -> None:
    own = saved(tmp_path, "ViT", "Model")
    with torch.no_grad():
        token = own(pixel_values=images()).last_hidden_state[:, 0]
        torch.testing.assert_close(opened(tmp_path, 0)(images()), token, rtol=0, atol=0)


def test_weights_in_shards_in_half_precision_and_as_a_pickle_of_tensors(tmp_path: Path) -> None:
    own = saved(tmp_path / "one", "ViT", "ForImageClassification")
    expected = own(pixel_values=images()).logits
    own.save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    torch.testing.assert_close(opened(tmp_path / "shards")(images()), expected, rtol=0, atol=0)
    state = load_file(tmp_path / "one" / "model.safetensors")
    (tmp_path / "one" / "model.safetensors").unlink()
    torch.save(state, tmp_path / "one" / "pytorch_model.bin")
    torch.testing.assert_close(opened(tmp_path / "one")(images()), expected, rtol=0, atol=0)
    for dtype in (torch.float16, torch.bfloat16):
        half = tmp_path / str(dtype)
        own.to(dtype).save_pretrained(half)
        module = opened(half)
        assert {p.dtype for p in module.parameters()} == {torch.float32}
        torch.testing.assert_close(module(images()), expected, rtol=0.05, atol=0.02)
        own.float()


def test_files_are_all_that_decides(tmp_path: Path, experiment) -> None:
    own = saved(tmp_path, "ViT", "ForImageClassification", max_shard_size="40KB")
    edit(tmp_path, "preprocessor_config.json", size=SIDE)
    names = [path.name for path in network_files(spec_of(tmp_path))]
    shards = sorted(p.name for p in tmp_path.glob("*-of-*.safetensors"))
    assert names == [
        "config.json", "preprocessor_config.json", "model.safetensors.index.json", *shards
    ]  # fmt: skip
    exp = experiment("huggingface", checkpoint=tmp_path)
    before = model_fingerprint(exp)
    edit(tmp_path, "preprocessor_config.json", size=SIDE, do_flip_channel_order=True)
    os.utime(tmp_path / "preprocessor_config.json", ns=(1, 1))
    assert model_fingerprint(exp) != before
    swapped = opened(tmp_path)(images())
    expected = own(pixel_values=images().flip(1)).logits
    torch.testing.assert_close(swapped, expected, rtol=0, atol=0)


@pytest.mark.parametrize("level", ["", "snapshots", "snapshots/abc123"])
def test_a_folder_in_the_cache_of_the_hub(tmp_path: Path, level: str) -> None:
    own = saved(tmp_path / "plain", "ViT", "ForImageClassification")
    top = as_hub_cache(tmp_path / "plain", tmp_path / "hub")
    (top / "snapshots" / "older").mkdir()
    (top / "snapshots" / "older" / "config.json").write_text('{"model_type": "resnet"}')
    found = opened(top / level)(images())
    torch.testing.assert_close(found, own(pixel_values=images()).logits, rtol=0, atol=0)
    (top / "refs" / "main").unlink()
    if not level.endswith("abc123"):
        with pytest.raises(ConfigError, match="holds 2 snapshots"):
            opened(top / level)


def parsed(folder: Path, **more: object) -> ClassifierSpec:
    sets = {"fit": {"builtin": "digits:fit"}, "test": {"builtin": "digits:test"}}
    table = {"checkpoint": str(folder), **more}
    return parse_experiment({"name": "made", "classifier": table, "id": sets}).classifier


def test_the_experiment_needs_no_more_than_the_folder(tmp_path: Path, experiment) -> None:
    saved(tmp_path / "head", "ResNet", "ForImageClassification")
    saved(tmp_path / "bare", "ResNet", "Model")
    edit(tmp_path / "head", id2label={"1": "dog", "0": "cat", "2": "horse"})
    edit(tmp_path / "head", "preprocessor_config.json", size={"height": SIDE, "width": SIDE})
    assert parsed(tmp_path / "head").num_classes is None
    assert parsed(tmp_path / "bare").num_classes == 0
    found = load_model(experiment("huggingface", None, checkpoint=tmp_path / "head"))
    assert found.class_names == ("cat", "dog", "horse")
    assert found.preprocessing.resize == (SIDE, SIDE)
    with pytest.raises(ConfigError, match="leave architecture out"):
        parsed(tmp_path / "head", architecture="timm:resnet18", num_classes=3)
    with pytest.raises(ModelError, match="no head for classes: set num_classes = 0"):
        opened(tmp_path / "bare", 3)


def test_placeholders_are_no_class_names(tmp_path: Path) -> None:
    saved(tmp_path, "ViT", "ForImageClassification")
    assert network_class_names(spec_of(tmp_path)) is None
    edit(tmp_path, id2label={"0": "a", "1": "a", "2": "b"})
    assert network_class_names(spec_of(tmp_path)) is None
    edit(tmp_path, id2label=["nonsense"])
    assert network_class_names(spec_of(tmp_path)) is None


# What is refused.


class Writes:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_nothing_that_comes_with_a_folder_is_run(tmp_path: Path) -> None:
    saved(tmp_path, "ViT", "ForImageClassification")
    proof = tmp_path / "proof"
    code = f"open({str(proof)!r}, 'w')\n"
    for name in ("modeling_own.py", "configuration_own.py", "processing_own.py"):
        (tmp_path / name).write_text(code)
    edit(tmp_path, auto_map={"AutoModelForImageClassification": "modeling_own.Net"})
    with pytest.raises(ModelError, match="code of its own"):
        opened(tmp_path)
    edit(tmp_path, auto_map=None)
    (tmp_path / ".metadata").write_bytes(pickle.dumps(Writes(proof)))  # a distributed checkpoint's
    edit(tmp_path, _attn_implementation="someone/kernel", attn_implementation="someone/kernel",
         transformers_weights="other.bin")  # fmt: skip
    opened(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Writes(proof)}))
    with pytest.raises(ModelError):
        opened(tmp_path)
    torch.save({"weight": Writes(proof)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled Python objects"):
        opened(tmp_path)
    assert not proof.exists()


def without(folder: Path, *names: str, **changed: torch.Tensor) -> None:
    path = folder / "model.safetensors"
    state = {k: v for k, v in load_file(path).items() if k not in names}
    save_file(state | changed, path, {"format": "pt"})


def test_weights_that_are_not_exactly_the_networks(tmp_path: Path) -> None:
    saved(tmp_path, "ViT", "ForImageClassification")
    whole = load_file(tmp_path / "model.safetensors")
    without(tmp_path, "classifier.weight")
    with pytest.raises(ModelError, match=r"1 missing \(classifier.weight\)"):
        opened(tmp_path)
    save_file(whole, tmp_path / "model.safetensors", {"format": "pt"})
    without(tmp_path, **{"other.weight": torch.ones(2)})
    with pytest.raises(ModelError, match=r"1 unexpected \(other.weight\)"):
        opened(tmp_path)
    save_file(whole | {"classifier.bias": torch.zeros(5)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="ViTForImageClassification"):
        opened(tmp_path)
    damaged = whole["classifier.weight"].clone()
    damaged[0, 0] = float("nan")
    save_file(whole | {"classifier.weight": damaged}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"classifier.weight holds NaN"):
        opened(tmp_path)
    codes = (100 * whole["classifier.weight"]).to(torch.int8)
    save_file(whole | {"classifier.weight": codes}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="whole numbers"):
        opened(tmp_path)
    save_file(whole, tmp_path / "model.safetensors")
    content = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="not a complete safetensors"):
        opened(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no weights"):
        opened(tmp_path)


def test_a_shard_that_is_missing_or_cut_off(tmp_path: Path) -> None:
    saved(tmp_path, "ViT", "ForImageClassification", max_shard_size="40KB")
    shard = sorted(tmp_path.glob("*-of-*.safetensors"))[1]
    content = shard.read_bytes()
    shard.write_bytes(content[:-7])
    with pytest.raises(ModelError, match=f"{shard.name} is not a complete"):
        opened(tmp_path)
    shard.unlink()
    with pytest.raises(ModelError, match="missing"):
        opened(tmp_path)


CONFIGS = {
    "audio": ({"model_type": "wav2vec2", "architectures": ["Wav2Vec2Model"]}, "takes no images"),
    "text": ({"model_type": "bert", "architectures": ["BertModel"]}, "takes no images"),
    "text-tower": (
        {"model_type": "clip", "architectures": ["CLIPTextModelWithProjection"]}, "takes no images"
    ),
    "unknown": ({"model_type": "vitt"}, "does not know.*vit"),
    "no-type": ({"architectures": ["ViTModel"]}, "model_type = None"),
    "quantised": ({"model_type": "vit", "quantization_config": {"bits": 4}}, "quantised"),
    "masked": ({"model_type": "vit_mae", "architectures": ["ViTMAEModel"]}, "."),
    "values": ({"model_type": "vit", "hidden_size": "wide"}, "cannot be made"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONFIGS)
def test_configurations_that_are_refused(tmp_path: Path, case: str) -> None:
    config, message = CONFIGS[case]
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"a.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=message):
        opened(tmp_path, 0)


def test_a_network_of_images_and_texts_with_weights_of_texts_alone(tmp_path: Path) -> None:
    saved(tmp_path, "CLIP", "Model", labels=None)
    state = load_file(tmp_path / "model.safetensors")
    text = {k: v for k, v in state.items() if k.startswith("text_")}
    save_file(text, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"\d+ missing \("):
        opened(tmp_path, 0)


def test_without_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, "ViT", "ForImageClassification")
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ModelError, match="pip install transformers"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"size": {"height": -3, "width": -3}}, "resize must be"),
        ({"size": {"height": 10**6, "width": 10**6}}, "1 to 4096 pixels"),
        ({"image_std": [0, 0, 0]}, "std must be numbers above 0"),
        ({"image_std": [float("nan")] * 3}, "std must be finite"),
        ({"image_mean": [0.5]}, "mean must be 3 numbers"),
    ],
)
def test_stated_preprocessing_is_held_to_the_rules_of_an_experiment(
    tmp_path: Path, values: dict, said: str
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    given = {"image_processor_type": "ViTImageProcessor", "size": SIDE}
    edit(tmp_path, "preprocessor_config.json", **given | values)
    with pytest.raises(ModelError, match=said):
        hugging_face.preprocessing(tmp_path)


@pytest.mark.parametrize(
    "cfg", [{"input_size": [3]}, {"input_size": "abc"}, {"mean": "x"}, {"crop_pct": "x"},
            {"mean": [0.5, 0.5]}, {"std": [0, 1, 1]}, {"interpolation": "cubic"}],
)  # fmt: skip
def test_timm_s_preprocessing_is_held_to_the_same(tmp_path: Path, cfg: dict) -> None:
    edit(tmp_path, architecture="resnet10t", pretrained_cfg=cfg)
    with pytest.raises(ModelError, match=r"cannot be used: .* Give \[preprocessing\]"):
        hugging_face.preprocessing(tmp_path)


def test_shapes_that_differ_are_named(tmp_path: Path) -> None:
    saved(tmp_path, "ViT", "ForImageClassification")
    edit(tmp_path, id2label={str(c): f"class {c}" for c in range(5)})
    with pytest.raises(ModelError, match=r"classifier.weight: file \(3, 32\), network \(5, 32\)"):
        opened(tmp_path)


@pytest.mark.parametrize(("key", "value"), [("part", "model"), ("keys", "in order")])
def test_what_is_of_weights_alone_is_refused_for_a_whole_network(
    tmp_path: Path, key: str, value: str
) -> None:
    edit(tmp_path, model_type="vit", architectures=["ViTForImageClassification"])
    digits = {"fit": {"builtin": "digits:fit"}, "test": {"builtin": "digits:test"}}
    values = {"name": "x", "classifier": {"checkpoint": str(tmp_path), key: value}, "id": digits}
    with pytest.raises(ConfigError, match=f"holds the whole network: leave {key} out"):
        parse_experiment(values, tmp_path / "x.toml")

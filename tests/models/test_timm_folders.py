"""timm's folders: the same network that timm opens, without its fetching."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ood_core.errors import ModelError
from ood_core.experiments import ClassifierSpec
from ood_core.models.loaded import inspect_module
from ood_core.models.network_files import (
    network_class_names,
    network_preprocessing,
    open_network,
)

timm = pytest.importorskip("timm")

CFG = {
    "input_size": [3, 64, 64], "crop_pct": 0.9, "interpolation": "bicubic", "num_classes": 3,
    "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "pool_size": [2, 2],
    "first_conv": "conv1", "classifier": "fc", "url": "https://example.invalid/weights.pth",
    "hf_hub_id": "nobody/nothing",
}  # fmt: skip


def folder(tmp_path: Path, pickled: bool = False, **config: object) -> Path:
    torch.manual_seed(0)
    given = {"architecture": "resnet10t", "num_classes": 3, "pretrained_cfg": CFG} | config
    network = timm.create_model(
        str(given["architecture"]), num_classes=given.get("num_classes", 3),
        **given.get("model_args", {}),  # type: ignore[arg-type]
    )  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(given))
    if pickled:
        torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    else:
        save_file(network.state_dict(), tmp_path / "model.safetensors")
    return tmp_path


def spec_of(path: Path, num_classes: int | None = None) -> ClassifierSpec:
    return ClassifierSpec("huggingface", checkpoint=path, num_classes=num_classes)


IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize(
    "config", [{}, {"num_classes": 0}, {"model_args": {"width": 32}, "architecture": "resnet10t"}]
)
def test_outputs_are_those_of_timm(tmp_path: Path, pickled: bool, config: dict) -> None:
    args = {"stem_width": 16} if "model_args" in config else {}
    path = folder(tmp_path, pickled, **config | ({"model_args": args} if args else {}))
    bare = config.get("num_classes") == 0
    module = open_network(spec_of(path, 0 if bare else None)).requires_grad_(False)
    own = timm.create_model(f"local-dir:{path}", pretrained=True).eval().requires_grad_(False)
    torch.testing.assert_close(module(IMAGES), own(IMAGES), rtol=0, atol=0)
    found = inspect_module(module, (3, 64, 64), headless=bare)
    assert (found.head is None) == bare
    headless = open_network(spec_of(path, 0)).requires_grad_(False)
    features = own.forward_head(own.forward_features(IMAGES), pre_logits=True)
    torch.testing.assert_close(headless(IMAGES), features, rtol=0, atol=0)


@pytest.mark.parametrize(
    "changed",
    [
        {}, {"crop_mode": "squash"}, {"crop_pct": 1.0}, {"interpolation": "bilinear"},
        {"input_size": [1, 32, 32], "mean": [0.5], "std": [0.5]}, {"mean": None, "std": None},
    ],
)  # fmt: skip
def test_the_transform_is_timms(tmp_path: Path, changed: dict) -> None:
    import numpy as np
    from PIL import Image

    from ood_core.data import Transform

    cfg = CFG | changed
    found = network_preprocessing(spec_of(folder(tmp_path, pretrained_cfg=cfg)))
    assert found is not None
    data = timm.data.resolve_data_config(pretrained_cfg=cfg)
    pixels = np.random.default_rng(0).integers(0, 256, (90, 121, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert(found.mode)
    expected = timm.data.create_transform(**data)(image).numpy()
    np.testing.assert_allclose(Transform(found)(image), expected, rtol=0, atol=1e-6)


def test_class_names(tmp_path: Path) -> None:
    path = folder(tmp_path, label_names=["cat", "dog", "horse"])
    assert network_class_names(spec_of(path)) == ("cat", "dog", "horse")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architecture": "hf-hub:someone/net"}, "timm lacks"),
        ({"architecture": "local-dir:/tmp"}, "timm lacks"),
        ({"model_args": {"pretrained": True}}, "may not hold pretrained"),
        ({"model_args": {"checkpoint_path": "other.pth"}}, "may not hold checkpoint_path"),
        ({"model_args": {"nonsense": 1}}, "cannot build"),
        ({"num_classes": 5}, "does not fit"),
    ],
)
def test_what_is_refused(tmp_path: Path, config: dict, message: str) -> None:
    path = folder(tmp_path)
    content = json.loads((path / "config.json").read_text()) | config
    (path / "config.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=message):
        open_network(spec_of(path))

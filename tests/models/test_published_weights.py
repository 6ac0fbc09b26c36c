from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ood_core.errors import ModelError, StoppedError
from ood_core.models import (
    WeightsMissingError,
    download_weights,
    load_model,
    model_fingerprint,
    resolve_preprocessing,
)
from ood_core.models import published_weights as publishing
from ood_core.models import weights_download as downloading
from ood_core.models.architectures import build
from ood_core.models.published_weights import published_file, published_weights
from ood_core.runtime.paths import weights_dir

ROOT = Path(__file__).parents[2]
NAME = "torchvision:shufflenet_v2_x0_5"
TAG = "IMAGENET1K_V1"


@pytest.fixture
def weights(tmp_path):
    """A file as the package would publish it, named by its hash."""
    path = tmp_path / "net.pth"
    torch.save(build(NAME).state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return path.rename(path.with_name(f"net-{digest[:8]}.pth"))


@pytest.fixture
def published_at(monkeypatch):
    """Say that the named weights are at another address."""
    real = published_weights(NAME, TAG)

    def at(url: str) -> None:
        moved = replace(real, url=url, cached=f"hub/checkpoints/{url.rpartition('/')[2]}")
        for module in (publishing, downloading):
            monkeypatch.setattr(module, "published_weights", lambda *_: moved)

    return at


def test_torchvision_weights_bring_transforms_and_class_names():
    found = published_weights("torchvision:resnet50", "IMAGENET1K_V2")
    assert (found.preprocessing.resize, found.preprocessing.center_crop) == (232, 224)
    assert found.preprocessing.mean == (0.485, 0.456, 0.406)
    assert found.url.endswith("resnet50-11ad3fa6.pth")
    assert found.class_names[1] == "goldfish"
    assert 90e6 < found.size < 110e6
    bicubic = published_weights("torchvision:efficientnet_b0", None)
    assert bicubic.preprocessing.interpolation == "bicubic"


def test_what_was_said_once_needs_no_package_again():
    first = published_weights("torchvision:resnet18", "IMAGENET1K_V1")
    code = (
        "import sys; from ood_core.models.published_weights import published_weights as p;"
        "print(repr(p('torchvision:resnet18', 'IMAGENET1K_V1')));"
        "print([x for x in ('torch', 'torchvision') if x in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env=os.environ,
    )  # fmt: skip
    assert done.stdout.splitlines() == [repr(first), "[]"]


def test_missing_weights_say_how_to_get_them_and_nothing_is_downloaded(experiment, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("tried to download")

    monkeypatch.setattr("urllib.request.urlopen", refused)
    exp = experiment(NAME, None, weights=TAG)
    for ask in (model_fingerprint, load_model):
        with pytest.raises(WeightsMissingError, match=r"not on this machine.*curl -L -o .*\.pth h"):
            ask(exp)


def test_weights_in_the_hub_cache_are_used(experiment, weights, published_at, own_home):
    published_at(f"https://example.org/{weights.name}")
    exp = experiment(NAME, None, weights=TAG)
    with pytest.raises(WeightsMissingError):
        published_file(NAME, TAG)
    cache = own_home / "caches" / "TORCH_HOME" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    weights.rename(cache / weights.name)
    assert published_file(NAME, TAG).parent == cache
    loaded = load_model(exp)
    assert loaded.head.n_classes == 1000
    assert loaded.class_names[0] == "tench"
    assert loaded.input_shape == (3, 224, 224)


def test_downloading_on_request(experiment, weights, published_at):
    published_at(weights.as_uri())
    exp, seen = experiment(NAME, None, weights=TAG), []
    path = download_weights(exp, seen.append)
    assert path.parent == weights_dir()
    assert path.read_bytes() == weights.read_bytes()
    assert seen[-1].done == seen[-1].total == len(weights.read_bytes())
    assert download_weights(exp) == path
    assert published_file(NAME, TAG) == path


def test_a_damaged_download_is_not_kept(experiment, weights, published_at):
    other = weights.rename(weights.with_name("net-0123abcd.pth"))
    published_at(other.as_uri())
    with pytest.raises(ModelError, match=r"is damaged: its checksum is sha256:.*sha256:0123abcd"):
        download_weights(experiment(NAME, None, weights=TAG))
    assert not list(weights_dir().glob("net-*.p*[!k]"))


def test_a_stopped_download_is_kept_and_continued(experiment, weights, published_at, server):
    data = weights.read_bytes()
    server.files[f"/{weights.name}"] = data
    server.versions[f"/{weights.name}"] = '"one"'
    published_at(server.url(f"/{weights.name}"))
    exp, checks = experiment(NAME, None, weights=TAG), iter([False] * 9 + [True])
    with pytest.raises(StoppedError, match="downloading net-"):
        download_weights(exp, should_stop=lambda: next(checks))
    part = weights_dir() / f"{weights.name}.part"
    have = part.stat().st_size
    assert 0.35 * len(data) < have < 0.45 * len(data)
    assert part.read_bytes() == data[:have]
    with pytest.raises(WeightsMissingError):
        published_file(NAME, TAG)
    assert download_weights(exp).read_bytes() == data
    assert server.asked == [
        (f"/{weights.name}", None),
        (f"/{weights.name}", f"bytes={have}-"),
    ]
    assert not part.exists()


def test_offline_says_what_to_copy_where(experiment, published_at):
    published_at("http://127.0.0.1:9/net-01234567.pth")
    with pytest.raises(ModelError, match=r"cannot download http.*Without a network, copy the file"):
        download_weights(experiment(NAME, None, weights=TAG))


def test_unknown_weights_list_the_known_ones():
    with pytest.raises(ModelError, match=r"no weights 'V9'.*IMAGENET1K_V1, IMAGENET1K_V2"):
        published_weights("torchvision:resnet50", "V9")


def test_named_weights_of_a_built_in_network(experiment):
    with pytest.raises(ModelError, match="no published weights 'best': give a checkpoint file"):
        model_fingerprint(experiment("resnet20", weights="best"))


def test_preprocessing_of_the_file_wins(experiment):
    assert resolve_preprocessing(experiment("torchvision:resnet18")).resize == 32
    assert resolve_preprocessing(experiment("torchvision:resnet18", None)).resize == 256


def test_a_built_in_network_without_preprocessing(experiment):
    with pytest.raises(ModelError, match=r"needs a \[preprocessing\] section"):
        resolve_preprocessing(experiment("resnet20", None))


def test_timm_weights_bring_their_transforms():
    pytest.importorskip("timm")
    found = published_weights("timm:resnet50", "a1_in1k")
    assert found.preprocessing.center_crop == 224
    assert found.preprocessing.resize == int(224 / 0.95)
    assert found.preprocessing.interpolation == "bicubic"
    assert (
        found.url == "https://huggingface.co/timm/resnet50.a1_in1k/resolve/main/model.safetensors"
    )
    with pytest.raises(ModelError, match="no weights 'zz'"):
        published_weights("timm:resnet50", "zz")


def test_without_timm_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match="run `pip install timm`"):
        build("timm:resnet18")

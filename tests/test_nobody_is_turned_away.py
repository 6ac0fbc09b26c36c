"""One network, brought in every way that docs/bring-your-own.md promises, has the same scores."""

from __future__ import annotations

import csv
import re
import sys
import types
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import ood_core
from ood_core.commands import _main as cli
from ood_core.detectors import all_detectors
from ood_core.models import architectures, trust_code
from ood_core.models.architectures import build, resnet_cifar
from ood_core.models.fitting import randomise

SIDE = 32
SETS = {"fit": "train", "test": "test", "noise": "noise"}
MEASURED = (
    "--resize=32", "--center-crop=32", "--mean=0,0,0", "--std=1,1,1", "--check=0",
)  # fmt: skip
PARAMETERS = "[detectors.residual]\ndim = 16\n[detectors.vim]\ndim = 16\n"
"""Fewer directions than few images span."""
NO_HEAD = {"residual": "its directions are counted from the mean where there is no head"}
"""Detectors whose scores docs/scores.md has otherwise without a head."""
OWN = 'architecture = "my_net.py:CifarResNet"\narguments = { blocks = 3, num_classes = 2 }\n'
KNOWN = 'architecture = "resnet20"\nnum_classes = 2\ncheckpoint = "net.pt"\n'
TRUSTED = 'trust = "run this code"\n'
WRAPPED = """
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification

class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = ResNetForImageClassification(ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_labels=2))

    def forward(self, images):
        return self.inner(pixel_values=images).logits
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with images, the code of a network and its weights; a home of its own."""
    folder = tmp_path_factory.mktemp("mine")
    rng = np.random.default_rng(0)
    for place, count in (("train/dark", 90), ("train/light", 90), ("test/dark", 7),
                         ("test/light", 7), ("noise", 11)):  # fmt: skip
        (folder / place).mkdir(parents=True)
        ground = {"dark": 60, "light": 190}.get(place.rpartition("/")[2], 128)
        for number in range(count):
            pixels = np.clip(rng.normal(ground, 60, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((SIDE, SIDE)).save(folder / place / f"{number:02d}.png")
    (folder / "my_net.py").write_text(Path(resnet_cifar.__file__).read_text("utf-8"), "utf-8")
    torch.save(network().state_dict(), folder / "net.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OOD_LENS_HOME", str(folder / "home"))
        patch.chdir(folder)
        yield folder


def network() -> nn.Module:
    return randomise(lambda: build("resnet20", 2), 0).eval()


def experiment(here: Path, name: str, classifier: str, sets: dict[str, str] | None = None) -> Path:
    """Write an experiment file of images, or of the features that `sets` names."""
    kind, chosen = ("features", sets) if sets else ("folder", SETS)
    id_sets = "\n".join(f'{role} = {{ {kind} = "{chosen[role]}" }}' for role in ("fit", "test"))
    seen = "" if sets else f"[preprocessing]\nresize = {SIDE}\ncenter_crop = {SIDE}\n"
    path = here / f"{name}.toml"
    path.write_text(
        f"[classifier]\n{classifier}\n{seen}[id]\n{id_sets}\n"
        f'[[ood]]\nname = "noise"\n{kind} = "{chosen["noise"]}"\n'
        f"{PARAMETERS}"
    )
    return path


@cache
def figures(path: Path) -> dict[str, dict[str, str]]:
    """The rows of the results file that `benchmark` writes, by detector."""
    out = path.with_suffix(".csv")
    assert cli.main(["benchmark", str(path), "--out", str(out), "--quiet"]) == 0
    with out.open(encoding="utf-8") as file:
        return {row["detector"]: row for row in csv.DictReader(file)}


@cache
def scores(path: Path) -> dict[str, np.ndarray]:
    """Of each detector that runs: its scores on the test images and on the noise."""
    acts = ood_core.extract(ood_core.load_experiment(path))
    found = {}
    for name in all_detectors():
        try:
            detector = ood_core.make_detector(name).fit(acts["fit"], acts.head)
        except ood_core.OODLensError:
            continue
        found[name] = np.concatenate([detector.score_samples(acts[s]) for s in ("test", "noise")])
    return found


def compare(new: Path, known: Path, *, exact: bool, headless: bool = False) -> None:
    """All detectors, image by image, and what `benchmark` writes of them."""
    theirs, ours = scores(known), scores(new)
    rows, known_rows = figures(new), figures(known)
    if headless:
        assert {"feature_norm", "negative_aware_norm", "ssd", "knn", "mahalanobis"} <= set(ours)
    else:
        assert set(ours) == set(theirs)
        assert set(rows) == set(known_rows)
    for name in set(ours) - (set(NO_HEAD) if headless else set()):
        scale = np.abs(theirs[name]).max()
        allowed = 0 if exact else 1e-5 * scale
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=allowed, err_msg=name)
    for name in set(rows) - (set(NO_HEAD) if headless else set()):
        for column in ("auroc", "fpr95", "aupr_in", "aupr_out", "n_id", "n_ood"):
            assert float(rows[name][column]) == pytest.approx(
                float(known_rows[name][column]), abs=0 if exact else 1e-5
            ), (name, column)


@pytest.fixture(scope="module")
def known(here: Path) -> Path:
    """The network as a built-in architecture with its state dict."""
    return experiment(here, "known", KNOWN)


def _own_module(here: Path) -> Path:
    path = experiment(here, "own", f'{OWN}{TRUSTED}checkpoint = "net.pt"\n')
    trust_code(ood_core.load_experiment(path))
    return path


def _torchscript(here: Path) -> Path:
    torch.jit.trace(network(), torch.rand(2, 3, SIDE, SIDE)).save(here / "net.ts")
    return experiment(here, "scripted", 'checkpoint = "net.ts"\n')


def _program() -> Any:
    varying = ({0: torch.export.Dim.DYNAMIC},)
    return torch.export.export(network(), (torch.rand(2, 3, SIDE, SIDE),), dynamic_shapes=varying)


def _torch_export(here: Path) -> Path:
    torch.export.save(_program(), here / "net.pt2")
    return experiment(here, "exported", 'checkpoint = "net.pt2"\n')


def _onnx(here: Path) -> Path:
    pytest.importorskip("onnxruntime")
    from tests.onnx_networks import export

    export(network(), here / "net.onnx", shape=(3, SIDE, SIDE))
    return experiment(here, "onnx", 'checkpoint = "net.onnx"\n')


def _features(here: Path) -> Path:
    """The input of the last layer, kept with a hook, and that layer."""
    model = network()
    kept: list[torch.Tensor] = []
    model.linear.register_forward_hook(lambda _m, given, _out: kept.append(given[0]))
    for name, folder in SETS.items():
        files = sorted((here / folder).rglob("*.png"))
        pixels = np.stack([np.asarray(Image.open(f), np.float32).transpose(2, 0, 1) for f in files])
        with torch.no_grad():
            model(torch.from_numpy(pixels / 255))
        labels = {} if name == "noise" else {"labels": [f.parent.name == "light" for f in files]}
        arrays = {key: np.asarray(value, np.int64) for key, value in labels.items()}
        np.savez(here / f"{name}.npz", features=kept[-1].numpy(), **arrays)
    head = {k: v.detach().numpy() for k, v in model.linear.named_parameters()}
    np.savez(here / "head.npz", **head)
    return experiment(here, "features", 'head = "head.npz"\n', {s: f"{s}.npz" for s in SETS})


WAYS: dict[str, tuple[Callable[[Path], Path], bool]] = {
    "own module": (_own_module, True),
    "TorchScript": (_torchscript, False),
    "torch.export": (_torch_export, False),
    "ONNX": (_onnx, False),
    "features": (_features, False),
}
"""What is brought -> how, and whether the very same operations run."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore")
def test_a_network_has_the_scores_of_its_state_dict(way: str, here: Path, known: Path) -> None:
    bring, exact = WAYS[way]
    compare(bring(here), known, exact=exact)


def test_a_pickled_module_by_the_lines_that_refuse_it(
    here: Path, known: Path, monkeypatch, capsys
) -> None:
    module = types.ModuleType("my_net")
    exec(compile((here / "my_net.py").read_text(), "my_net.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "my_net", module)
    model = module.CifarResNet(3, 2)
    model.load_state_dict(network().state_dict())
    torch.save(model, here / "whole.pt")
    images = [f"--{role}={SETS[role]}" for role in ("fit", "test")]
    given = [*images, "--ood=noise=noise", *MEASURED]
    assert cli.main(["new", "whole", "--checkpoint", "whole.pt", *given, "--quiet"]) == 1
    said = capsys.readouterr().err
    lines = re.findall(r"^    (import torch|model = .*|torch\.save.*)$", said, re.M)
    assert len(lines) == 3
    exec("\n".join(lines), {})
    monkeypatch.delitem(sys.modules, "my_net")
    named = dict(re.findall(r'(checkpoint|architecture) = "([^"]+)"', said.partition(" with ")[0]))
    made = [f"--{key}={value}" for key, value in named.items()]
    arguments = "--arguments=blocks=3,num_classes=2"
    out = ["--out", "whole.toml"]
    assert cli.main(["new", "whole", *made, arguments, "--trust", *given, *out, "--quiet"]) == 0
    assert '"my_net.py:CifarResNet"' in (here / "whole.toml").read_text(), "for any folder"
    with (here / "whole.toml").open("a") as file:
        file.write(PARAMETERS)
    compare(here / "whole.toml", known, exact=True)


def test_an_encoder_of_timm_without_classes(here: Path) -> None:
    pytest.importorskip("timm")
    name = "timm:test_resnet"
    state = randomise(lambda: architectures.build(name, 2), 0).state_dict()
    torch.save(state, here / "timm.pt")
    encoder = {key: value for key, value in state.items() if not key.startswith("fc.")}
    torch.save(encoder, here / "timm-encoder.pt")
    table = f'architecture = "{name}"\nnum_classes = '
    whole = experiment(here, "timm", f'{table}2\ncheckpoint = "timm.pt"\n')
    alone = experiment(here, "timm-0", f'{table}0\ncheckpoint = "timm-encoder.pt"\n')
    compare(alone, whole, exact=True, headless=True)


def test_simclr_with_its_projection(here: Path) -> None:
    """The encoder of `backbone.`, its projection left out, against the same encoder with a head."""
    state = randomise(lambda: architectures.build("torchvision:resnet18", 2), 0).state_dict()
    torch.save(state, here / "resnet18.pt")
    held = {f"backbone.{key}": value for key, value in state.items() if not key.startswith("fc.")}
    for place, shape in (("fc.0", (512, 512)), ("fc.2", (128, 512))):
        held[f"backbone.{place}.weight"] = torch.zeros(shape)
        held[f"backbone.{place}.bias"] = torch.zeros(shape[0])
    torch.save({"state_dict": held, "epoch": 3}, here / "simclr.pt")
    table = 'architecture = "torchvision:resnet18"\nnum_classes = '
    whole = experiment(here, "resnet18", f'{table}2\ncheckpoint = "resnet18.pt"\n')
    alone = experiment(here, "simclr", f'{table}0\ncheckpoint = "simclr.pt"\n')
    compare(alone, whole, exact=True, headless=True)


def test_a_folder_of_transformers(here: Path) -> None:
    """Against the same network of transformers called by code of one's own."""
    pytest.importorskip("transformers")
    from tests.models.huggingface_folders import saved

    model = saved(here / "hub", "ResNet", "ForImageClassification", labels=2)
    torch.save({f"inner.{k}": v for k, v in model.state_dict().items()}, here / "inner.pt")
    (here / "wrapped.py").write_text(WRAPPED)
    code = f'architecture = "wrapped.py:Wrapped"\n{TRUSTED}checkpoint = "inner.pt"\n'
    wrapped = experiment(here, "wrapped", code)
    trust_code(ood_core.load_experiment(wrapped))
    compare(experiment(here, "hub", 'checkpoint = "hub"\n'), wrapped, exact=True)

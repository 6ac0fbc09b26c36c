"""The public CIFAR-10 checkpoints classify the JPEG copies as they should."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from ood_core.commands._main import main
from ood_core.data import Transform, open_dataset
from ood_core.errors import ModelError
from ood_core.experiments import DataSpec, Preprocessing
from ood_core.models import load_model

# Read at import: the tests of this folder run without data roots.
DATA = Path(os.environ.get("OOD_LENS_DATA") or Path(__file__).parents[3] / "shared" / "data")
CHECKPOINTS = DATA / "checkpoints"
DENSENET = CHECKPOINTS / "densenet_bc100_12_cifar10.pth.tar"
RESNET = CHECKPOINTS / "resnet20_cifar10.th"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not CHECKPOINTS.is_dir(),
        reason="needs the shared checkpoints: OOD_LENS_DATA, or shared/data beside the checkout",
    ),
]


@pytest.fixture(scope="module")
def test_images():
    return open_dataset(DataSpec("test", "folder", str(DATA / "cifar10-jpeg" / "test")))


def accuracy(loaded, dataset) -> float:
    transform = Transform(loaded.preprocessing)
    batch = np.stack([transform(dataset.load(i)) for i in range(len(dataset))])
    with torch.inference_mode():
        logits = [loaded.module(part) for part in torch.from_numpy(batch).split(100)]
    return float((torch.cat(logits).argmax(1).numpy() == dataset.labels).mean())


@pytest.mark.slow
def test_densenet(experiment, test_images):
    transform = Preprocessing(32, 32, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    loaded = load_model(experiment("densenet_bc100_12", transform, checkpoint=DENSENET))
    assert accuracy(loaded, test_images) == pytest.approx(0.827, abs=0.0005)


def test_resnet20(experiment, test_images):
    transform = Preprocessing(32, 32, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    loaded = load_model(experiment("resnet20", transform, checkpoint=RESNET))
    assert accuracy(loaded, test_images) >= 0.82


@pytest.mark.parametrize(
    ("architecture", "path", "fits"),
    [("resnet32", RESNET, "resnet20"), ("resnet20", DENSENET, "densenet_bc100_12")],
)
def test_the_wrong_architecture_is_told_the_right_one(architecture, path, fits, experiment):
    with pytest.raises(ModelError, match=f"Architecture '{fits}' fits completely"):
        load_model(experiment(architecture, checkpoint=path))


def written(module, kind, path):
    if kind == "torch.export":
        shapes = ({0: torch.export.Dim("n")},)
        program = torch.export.export(module, (torch.rand(2, 3, 32, 32),), dynamic_shapes=shapes)
        torch.export.save(program, path)
    else:
        torch.jit.script(module).save(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["torch.export", "torchscript"])
@pytest.mark.parametrize(
    ("architecture", "checkpoint"), [("resnet20", RESNET), ("densenet_bc100_12", DENSENET)]
)
def test_a_network_in_a_file_is_the_network(architecture, checkpoint, kind, experiment, tmp_path):
    transform = Preprocessing(32, 32, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    first = load_model(experiment(architecture, transform, checkpoint=checkpoint))
    path = tmp_path / "net.pt2"
    written(first.module, kind, path)
    second = load_model(experiment(kind, transform, checkpoint=path))
    images = torch.randn(5, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(first.module(images), second.module(images))
    names = [layer.name for layer in second.layers]
    assert {layer.name for layer in first.layers} <= set(names)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["torch.export", "torchscript"])
def test_benchmark_of_a_network_in_a_file(kind, experiment, tmp_path, capsys):
    transform = Preprocessing(32, 32, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    first = load_model(experiment("resnet20", transform, checkpoint=RESNET))
    written(first.module, kind, tmp_path / "net.pt2")
    data = DATA / "cifar10-jpeg"
    table = f"""
        [classifier]
        checkpoint = "net.pt2"
        [preprocessing]
        resize = 32
        center_crop = 32
        mean = {list(transform.mean)}
        std = {list(transform.std)}
        [id]
        fit = {{ folder = "{data / "train"}", limit = 60 }}
        test = {{ folder = "{data / "test"}", limit = 60 }}
        [[ood]]
        name = "photos"
        folder = "{DATA / "photos"}"
        limit = 60
    """
    (tmp_path / "mine.toml").write_text(table, encoding="utf-8")
    assert main(["benchmark", str(tmp_path / "mine.toml"), "--detectors", "energy"]) == 0
    assert "energy" in capsys.readouterr().out.lower()

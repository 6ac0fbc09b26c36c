"""The public CIFAR-10 checkpoints classify the JPEG copies as they should."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

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

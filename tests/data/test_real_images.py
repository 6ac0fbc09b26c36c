"""The shared real images: counts, labels, and the transform against torchvision's own loader."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ood_core.data import Transform, experiment_status, open_dataset
from ood_core.experiments import load_experiment

# Read at import: the tests here run without data roots unless they ask for them.
GIVEN = os.environ.get("OOD_LENS_DATA") or str(Path(__file__).parents[3] / "shared" / "data")

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not (Path(GIVEN) / "cifar10-jpeg").is_dir(),
        reason="needs the shared images: OOD_LENS_DATA, or shared/data beside the checkout",
    ),
]


@pytest.fixture(autouse=True)
def shared_images(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OOD_LENS_DATA", GIVEN)


@pytest.mark.parametrize("name", ["cifar10-jpeg-densenet", "cifar10-jpeg-resnet20"])
def test_the_experiments_on_jpeg_copies_are_ready(name: str) -> None:
    experiment = load_experiment(name)
    assert all(status.ready for status in experiment_status(experiment).values())
    assert experiment.classifier.checkpoint is not None
    assert experiment.classifier.checkpoint.is_file()
    counts = {n: len(open_dataset(spec)) for n, spec in experiment.sets.items()}
    assert counts == {"fit": 2000, "test": 1000, "textures": 500, "photos": 400}


def test_inputs_and_labels_equal_those_of_torchvision() -> None:
    from torchvision import transforms as t
    from torchvision.datasets import ImageFolder

    experiment = load_experiment("cifar10-jpeg-densenet")
    p = experiment.preprocessing
    assert p is not None
    ours, transform = open_dataset(experiment.sets["test"]), Transform(p)
    steps = [t.Resize(32), t.CenterCrop(32), t.ToTensor(), t.Normalize(p.mean, p.std)]
    theirs = ImageFolder(str(Path(GIVEN) / "cifar10-jpeg" / "test"), t.Compose(steps))
    np.testing.assert_array_equal(ours.labels, theirs.targets)
    for i in range(0, 1000, 50):
        np.testing.assert_array_equal(transform(ours.load(i)), theirs[i][0].numpy())


def test_previews_of_real_photos() -> None:
    photos = open_dataset(load_experiment("cifar10-jpeg-resnet20").sets["photos"])
    assert max(photos.thumbnail(0, 48).size) == 48
    assert photos.labels is None

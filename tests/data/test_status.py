"""What is missing, from where it is to be had, where it goes, and whether it arrived whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ood_core.data import dataset_status, experiment_status, open_dataset
from ood_core.errors import DataError
from ood_core.experiments import DataSpec, Experiment, list_experiments, load_experiment

READY = (
    "cifar10-densenet",
    "cifar10-resnet18",
    "cifar100-densenet",
    "imagenet-mobilenetv2",
    "imagenet-resnet50",
)


def test_builtin_sets_are_ready() -> None:
    assert all(s.ready for s in experiment_status(load_experiment("digits")).values())


@pytest.mark.parametrize("name", READY)
def test_ready_experiments_load_without_data_and_say_how_to_get_it(name: str) -> None:
    experiment = load_experiment(name)
    status = experiment_status(experiment)
    assert list(status) == ["classifier", *experiment.sets]
    for dataset in experiment.sets:
        missing = status[dataset]
        assert not missing.ready
        assert missing.folder
        if missing.fetch == "download":
            assert missing.megabytes > 0
            assert "Torchvision downloads it" in missing.message
        else:
            assert missing.fetch == "by hand"
            assert "OOD_LENS_DATA" in missing.message
            assert experiment.sets[dataset].options["obtain"] in missing.message
        with pytest.raises(DataError, match="is not on disk"):
            open_dataset(experiment.sets[dataset])


@pytest.mark.parametrize("name", [n for n in READY if n.startswith("cifar")])
def test_a_missing_checkpoint_says_where_it_comes_from(name: str) -> None:
    experiment = load_experiment(name)
    status = experiment_status(experiment)["classifier"]
    assert not status.ready
    assert str(experiment.classifier.checkpoint) in status.message
    assert "GitHub" in status.message


def test_every_listed_experiment_has_a_status() -> None:
    entries = list_experiments()
    assert {*READY, "digits"} <= {e.name for e in entries}
    for entry in entries:
        assert isinstance(entry, Experiment)
        assert experiment_status(entry)


def test_counts_are_checked_on_arrival(make_images: Callable[..., Path]) -> None:
    root = make_images("1.png", "2.png", "3.png")
    spec = DataSpec("sun", "folder", str(root), {"count": 4, "obtain": "From its page."})
    status = dataset_status(spec)
    assert not status.ready
    assert status.message == f"{root} holds 3 images, expected 4. From its page."
    whole = DataSpec("sun", "folder", str(root), {"count": 3, "limit": 2})
    assert dataset_status(whole).ready
    assert dataset_status(whole).message == "3 images."


def test_a_new_image_is_counted(make_images: Callable[..., Path]) -> None:
    spec = DataSpec("x", "folder", str(make_images("a/1.png")))
    assert dataset_status(spec).message == "1 image."
    make_images("a/2.png", "b/3.png")
    assert dataset_status(spec).message == "3 images."


def test_an_empty_folder_is_not_ready(tmp_path: Path) -> None:
    status = dataset_status(DataSpec("x", "folder", str(tmp_path)))
    assert not status.ready
    assert "holds 0 images" in status.message


def test_lists_are_counted_too(make_images: Callable[..., Path]) -> None:
    root = make_images("1.png", "2.png")
    (root / "list.txt").write_text("1.png 0\n2.png 1\n")
    options = {"count": 2, "limit": 1}
    status = dataset_status(DataSpec("x", "image_list", str(root / "list.txt"), options))
    assert status.message == "2 images."
    (root / "list.txt").write_text("")
    status = dataset_status(DataSpec("x", "image_list", str(root / "list.txt"), options))
    assert not status.ready
    assert "names no images" in status.message

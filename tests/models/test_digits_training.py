from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ood_core.data import Transform, open_dataset
from ood_core.errors import ModelError, StoppedError
from ood_core.experiments import load_experiment
from ood_core.models import digits_training, ensure_trained, load_model
from ood_core.runtime.paths import weights_dir

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data():
    return digits_training.fit_images(load_experiment("digits"))


@pytest.fixture
def one_epoch(monkeypatch):
    monkeypatch.setattr(digits_training, "EPOCHS", 1)


def test_training_twice_gives_the_same_numbers(data, one_epoch):
    torch.manual_seed(1)
    first = digits_training.train(*data).state_dict()
    torch.manual_seed(2)  # the global generator and the number of threads play no part
    threads = torch.get_num_threads()
    second = digits_training.train(*data).state_dict()
    assert torch.get_num_threads() == threads
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_global_generator_is_left_alone(data, one_epoch):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    digits_training.train(*data)
    assert torch.equal(torch.rand(1), expected)


def test_folding_the_hidden_batch_norm_changes_nothing(data):
    network = digits_training._initial(8, torch.Generator().manual_seed(0))
    x = torch.from_numpy(data[0][:64])
    network(x)  # moves the running statistics away from 0 and 1
    expected = network.eval()(x)
    torch.testing.assert_close(digits_training._folded(network)(x), expected)
    assert not any("hidden_norm" in name for name in network.state_dict())


def test_the_classifier_is_right_on_its_test_set(digits_home, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    exp = load_experiment("digits")
    loaded = load_model(exp)
    dataset, transform = open_dataset(exp.sets["test"]), Transform(loaded.preprocessing)
    images = torch.from_numpy(np.stack([transform(dataset.load(i)) for i in range(len(dataset))]))
    predicted = loaded.module(images).argmax(1).numpy()
    assert (predicted == dataset.labels).mean() >= 0.98
    assert [layer.name for layer in loaded.layers] == ["block1", "block2", "block3", "penultimate"]
    assert loaded.layers[-1].shape == (256,)
    assert loaded.class_names == tuple("01234567")


def test_trained_once_and_kept(one_epoch):
    exp = load_experiment("digits")
    seen = []
    path = ensure_trained(exp, progress=seen.append)
    written = path.stat().st_mtime_ns
    assert seen[-1].done == seen[-1].total
    assert ensure_trained(exp) == path
    assert path.stat().st_mtime_ns == written


def test_two_processes_train_once(own_home):
    code = (
        "import ood_core; from ood_core.models import digits_training; digits_training.EPOCHS = 1;"
        "seen = [];"
        "digits_training.ensure_trained(ood_core.load_experiment('digits'), seen.append);"
        "print(len(seen) > 0)"
    )
    command = [sys.executable, "-c", code]
    environment = os.environ | {"OOD_LENS_HOME": str(own_home)}
    both = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = sorted(process.communicate(timeout=200)[0].strip() for process in both)
    assert said == ["False", "True"]


def test_a_stopped_training_leaves_nothing(one_epoch):
    with pytest.raises(StoppedError, match="Training the classifier"):
        ensure_trained(load_experiment("digits"), should_stop=lambda: True)
    assert not list(weights_dir().glob("*.safetensors*[!k]"))


def test_a_failed_write_leaves_nothing(one_epoch, monkeypatch):
    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        ensure_trained(load_experiment("digits"))
    assert [p.suffix for p in weights_dir().iterdir()] == [".lock"]


def test_another_preprocessing_is_another_classifier():
    exp = load_experiment("digits")
    other = replace(exp, preprocessing=replace(exp.preprocessing, mean=(0.4,)))
    assert digits_training.trained_path(exp) != digits_training.trained_path(other)


def test_only_the_digits_network_is_trained_here():
    exp = load_experiment("digits")
    other = replace(exp, classifier=replace(exp.classifier, architecture="resnet20"))
    with pytest.raises(ModelError, match="works with architecture 'digits_cnn' only, got 'resnet"):
        ensure_trained(other)


def test_a_fit_set_without_labels_cannot_be_trained_on():
    exp = load_experiment("digits")
    sets = {**exp.sets, "fit": replace(exp.sets["fit"], source="digits:noise")}
    with pytest.raises(ModelError, match="no labels"):
        ensure_trained(replace(exp, sets=sets))

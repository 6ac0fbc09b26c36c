from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ood_core.errors import ModelError
from ood_core.models import WeightsMissingError, model_fingerprint
from ood_core.models.architectures import build

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "net.pth"
    torch.save(build("resnet20").state_dict(), path)
    return path


def test_changes_with_the_bytes_the_architecture_and_the_class_count(checkpoint, experiment):
    first = model_fingerprint(experiment("resnet20", checkpoint=checkpoint))
    assert first == model_fingerprint(experiment("resnet20", checkpoint=checkpoint))
    assert first != model_fingerprint(experiment("resnet32", checkpoint=checkpoint))
    assert first != model_fingerprint(experiment("wrn40_2", checkpoint=checkpoint))
    assert first != model_fingerprint(experiment("resnet20", checkpoint=checkpoint, num_classes=9))
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1
    checkpoint.write_bytes(content)
    assert first != model_fingerprint(experiment("resnet20", checkpoint=checkpoint))


def test_another_part_of_a_file_is_another_classifier(checkpoint, experiment):
    prints = [
        model_fingerprint(experiment("digits_cnn", checkpoint=checkpoint, part=part))
        for part in (None, "model", "ema")
    ]
    assert len(set(prints)) == 3


def as_before(checkpoint, architecture="digits_cnn"):
    """The key before averaged weights won wherever they lie: stored activations hang on it."""
    from ood_core.models import fingerprint

    weights = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    parts = (architecture, fingerprint._code(architecture), "None", weights)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@pytest.mark.parametrize("suffix", ["pth", "old", "safetensors"])
@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (("layer1.avg_pool.x", "fc.weight"), False),
        (("layer1.avgpool.x", "fc.weight"), True),
        (("model.fc.weight", "ema_model.fc.weight"), False),
        (("backbone.fc.weight", "net_ema.fc.weight"), False),
        (("swa", "net"), False),
        (("netEMA", "net"), False),
        (("current_model_state", "state_dict"), False),
        (("ema_state_dict", "state_dict", "steps"), False),
        (("model_ema", "model"), True),
        (("ema", "model"), True),
        (("schema.weight", "semantic.weight", "swat.x"), True),
    ],
)
def test_only_files_with_averages_among_others_get_another_key(
    names, kept, suffix, tmp_path, experiment
):
    path, state = tmp_path / f"net.{suffix}", {name: torch.ones(2, 2) for name in names}
    if suffix == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=suffix == "pth")
    found = model_fingerprint(experiment("digits_cnn", checkpoint=path))
    assert (found == as_before(path)) is kept


def test_does_not_depend_on_where_the_file_is_or_when_it_was_written(checkpoint, experiment):
    first = model_fingerprint(experiment("resnet20", checkpoint=checkpoint))
    moved = checkpoint.rename(checkpoint.with_name("other.pth"))
    os.utime(moved, (1, 1))
    assert first == model_fingerprint(experiment("resnet20", checkpoint=moved))


def test_random_weights_are_known_by_their_seed(experiment):
    prints = {model_fingerprint(experiment("resnet20", random_weights=seed)) for seed in (0, 1, 0)}
    assert len(prints) == 2


def test_a_missing_file_is_named(experiment, tmp_path):
    missing = experiment("resnet20", checkpoint=tmp_path / "none.pth")
    with pytest.raises(WeightsMissingError, match=r"none\.pth is not a file"):
        model_fingerprint(missing)


def test_an_untrained_classifier_says_so():
    from ood_core.experiments import load_experiment

    exp = load_experiment("digits")
    exp = replace(exp, classifier=replace(exp.classifier, weights="trained-here"))
    with pytest.raises(WeightsMissingError, match="'digits' is not trained yet: prepare"):
        model_fingerprint(exp)


def test_shipped_weights_are_for_the_architecture_they_ship_with(experiment):
    with pytest.raises(ModelError, match="'resnet20' has no published weights 'shipped'"):
        model_fingerprint(experiment("resnet20", weights="shipped"))


def test_needs_no_torch(digits_home):
    code = (
        "import sys, ood_core.models as m; from ood_core.experiments import load_experiment;"
        "print(len(m.model_fingerprint(load_experiment('digits'))));"
        "print([x for x in ('torch', 'torchvision', 'timm', 'sklearn') if x in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env=os.environ | {"OOD_LENS_HOME": str(digits_home)},
    )  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["64", "[]"]

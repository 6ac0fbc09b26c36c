"""The wizard and `new` on encoders without a head, grey networks and renamed tensors."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ood_core import wizard
from ood_core.activations import extract
from ood_core.activations.predictions import accuracy
from ood_core.commands import _main as cli
from ood_core.experiments import Preprocessing
from ood_core.models import nearest
from ood_core.models.architectures import build
from ood_core.models.fitting import randomise
from ood_core.wizard import Draft, SetDraft

# Read at import: the tests of this folder run without data roots.
DATA = Path(os.environ.get("OOD_LENS_DATA") or Path(__file__).parents[3] / "shared" / "data")
LITE0 = DATA / "checkpoints" / "efficientnet_lite0_imagenet.safetensors"
PHOTOS = DATA / "imagenet-photos"
AS_TRAINED = Preprocessing(256, 224, (0.5,) * 3, (0.5,) * 3, "bicubic")


def drafted(folders: Path, path: Path, **fields) -> Draft:
    return wizard.complete(
        Draft(
            name="mine", checkpoint=str(path),
            fit=SetDraft(str(folders / "photos/train"), "fit"),
            test=SetDraft(str(folders / "photos/test"), "test"), **fields,
        )
    )  # fmt: skip


def line(draft: Draft, name: str) -> wizard.Check:
    (found,) = [check for check in wizard.check_draft(draft) if check.name == name]
    return found


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(nearest, "_names", lambda: ("digits_cnn", "resnet20", "resnet32"))


def state(channels: int | None = None):
    return randomise(lambda: build("resnet20", 3, None, channels), 1).state_dict()


def test_an_encoder_becomes_an_experiment_without_a_head(folders, tmp_path, few):
    encoder = {k: v for k, v in state().items() if not k.startswith("linear.")}
    torch.save(
        {f"backbone.{k}": v for k, v in encoder.items()} | {"projector.weight": torch.ones(32, 64)},
        tmp_path / "simclr.pth",
    )
    draft = drafted(folders, tmp_path / "simclr.pth")
    assert (draft.architecture, draft.num_classes) == ("resnet20", 0)
    assert "no head, 64 penultimate features" in line(draft, "The classifier loads").text
    assert "projector" in line(draft, "What was loaded").text
    wrong = dataclasses.replace(draft, num_classes=3)
    refused = line(wrong, "The classifier loads")
    assert "num_classes = 0" in refused.text
    assert [fix.draft for fix in refused.fixes] == [draft]
    assert line(refused.fixes[0].draft, "The classifier loads").ok


def test_a_network_for_grey_images_is_told_from_its_first_layer(folders, tmp_path, few):
    torch.save(state(channels=1), tmp_path / "grey.pth")
    draft = drafted(folders, tmp_path / "grey.pth")
    assert draft.preprocessing.mode == "L"
    assert len(draft.preprocessing.mean) == 1
    assert line(draft, "The classifier loads").ok
    assert {len(p.preprocessing.mean) for p in wizard.preprocessings(draft)} == {1}
    wrong = dataclasses.replace(draft, preprocessing=Preprocessing(32, 32))
    refused = line(wrong, "The classifier loads")
    assert 'set mode = "L"' in refused.text
    (fix,) = refused.fixes
    assert fix.draft.preprocessing.mode == "L"
    assert line(fix.draft, "The classifier loads").ok


def test_a_network_for_colour_images_is_told_from_its_first_layer(folders, tmp_path, few):
    torch.save(state(), tmp_path / "colour.pth")
    draft = drafted(folders, tmp_path / "colour.pth")
    grey = Preprocessing(32, 32, (0.5,), (0.5,), mode="L")
    refused = line(dataclasses.replace(draft, preprocessing=grey), "The classifier loads")
    assert 'set mode = "RGB"' in refused.text
    assert line(refused.fixes[0].draft, "The classifier loads").ok


def test_order_and_shapes_are_offered_and_never_taken_unasked(folders, tmp_path, few, capsys):
    names = (("layer", "stage"), ("conv", "c"), ("bn", "n"), ("linear", "out"))
    renamed = state()
    for old, new in names:
        renamed = {k.replace(old, new): v for k, v in renamed.items()}
    torch.save(renamed, tmp_path / "net.pth")
    draft = drafted(folders, tmp_path / "net.pth", architecture="resnet20")
    refused = line(draft, "The classifier loads")
    assert refused.ok is False
    assert "c1.weight → conv1.weight" in refused.text
    assert "a guess until the ID accuracy is right" in refused.text
    (fix,) = refused.fixes
    assert (fix.draft.keys, fix.draft.num_classes) == ("in order", 3)
    assert line(fix.draft, "The classifier loads").ok
    assert line(fix.draft, "Tensors were told by order and shape").ok is None
    argv = ["new", "mine", "--checkpoint", str(tmp_path / "net.pth"), "--check", "0"]
    argv += ["--architecture", "resnet20", "--fit", draft.fit.source, "--test", draft.test.source]
    argv += ["--ood", f"drawings={folders / 'drawings'}"]
    assert cli.main(argv) == 1
    assert "--keys 'in order'" in capsys.readouterr().out
    assert cli.main([*argv, "--keys", "in order"]) == 0


def original_names(state):
    """Names of EfficientNet-PyTorch: blocks numbered through, batch norms from 0."""
    blocks: dict[str, int] = {}
    out = {}
    top = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1",
           "classifier": "_fc"}  # fmt: skip
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    later = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
             "conv_pwl": "_project_conv", "bn3": "_bn2"}  # fmt: skip
    for name, tensor in state.items():
        inside = re.match(r"(blocks\.\d+\.\d+)\.(\w+)\.(\w+)", name)
        if inside:
            number = blocks.setdefault(inside[1], len(blocks))
            words = later if number else first
            out[f"_blocks.{number}.{words[inside[2]]}.{inside[3]}"] = tensor
        else:
            module, _, last = name.partition(".")
            out[f"{top[module]}.{last}"] = tensor
    return out


@pytest.fixture(scope="module")
def lite0():
    if not LITE0.is_file():
        pytest.skip("needs the shared checkpoints: OOD_LENS_DATA, or shared/data")
    pytest.importorskip("timm")
    order = build("timm:tf_efficientnet_lite0").state_dict()
    held = load_file(LITE0)
    return {name: held[name] for name in order if name in held}


@pytest.mark.data
@pytest.mark.parametrize("form", ["made in order", "sorted"])
def test_the_original_efficientnet_names(form, lite0, tmp_path):
    path = tmp_path / ("net.pth" if form == "made in order" else "net.safetensors")
    (torch.save if form == "made in order" else save_file)(original_names(lite0), path)
    draft = Draft(
        "lite", checkpoint=str(path), architecture="timm:tf_efficientnet_lite0",
        preprocessing=AS_TRAINED,
    )  # fmt: skip
    (fix,) = line(draft, "The classifier loads").fixes
    assert (fix.draft.keys, fix.draft.num_classes) == ("in order", 1000)
    loaded = wizard.partial_drafts.load_classifier(fix.draft)
    got = loaded.module.state_dict()
    assert all(torch.equal(got[name], tensor) for name, tensor in lite0.items())


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("names", "photos", "holds"), [("original", 250, True), ("swapped", 60, False)]
)
def test_accuracy_confirms_a_mapping_or_refutes_it(names, photos, holds, lite0, tmp_path):
    """Two batch norms in each other's place are refuted.

    The tensors of the original names are those of timm's (the test above), so one pass tells both.
    """
    state = original_names(lite0)
    if names == "swapped":
        for end in ("weight", "bias", "running_mean", "running_var"):
            one, two = f"_blocks.1._bn0.{end}", f"_blocks.1._bn1.{end}"
            state[one], state[two] = state[two], state[one]
    torch.save(state, tmp_path / "net.pth")
    draft = Draft(
        "lite", checkpoint=str(tmp_path / "net.pth"), architecture="timm:tf_efficientnet_lite0",
        keys="in order", preprocessing=AS_TRAINED,
        num_classes=1000, expected_accuracy=0.87,
        fit=SetDraft(str(PHOTOS / "fit.csv"), options={"limit": 8}),
        test=SetDraft(str(PHOTOS / "test.csv"), options={"limit": photos}),
        ood=(SetDraft("digits:noise", "noise", options={"limit": 4}),),
    )  # fmt: skip
    acts = extract(wizard.new_experiment(draft))
    right = accuracy(acts["test"], acts.need_head())
    assert right >= 0.8 if holds else right < 0.5
    (gate,) = [g for g in wizard.gate_checks(acts) if g.name == "ID accuracy is as expected"]
    assert gate.ok is holds, gate.text

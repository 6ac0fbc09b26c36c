"""What a user has to begin with: a network, an encoder, features, a folder from a model hub."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from ood_core import wizard
from ood_core.errors import ModelError, OODLensError
from ood_core.experiments import ClassifierSpec, load_experiment, save_experiment
from ood_core.wizard import Draft, SetDraft


@pytest.fixture
def headless(tmp_path: Path) -> Callable[..., Path]:
    """Weights of a network without its head, as contrastive training leaves them."""

    def make(architecture: str = "resnet20", head: str = "linear", name: str = "e.pth") -> Path:
        import torch

        from ood_core.models.architectures import build
        from ood_core.models.fitting import randomise

        state = randomise(lambda: build(architecture, 3), 0).state_dict()
        left = {key: value for key, value in state.items() if not key.startswith(f"{head}.")}
        assert len(left) < len(state)
        torch.save(left, tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def encoder(folders: Path, headless: Callable[..., Path]) -> Draft:
    return Draft(
        name="mine",
        kind="encoder",
        checkpoint=str(headless()),
        architecture="resnet20",
        num_classes=0,
        fit=SetDraft(str(folders / "drawings")),
        test=SetDraft(str(folders / "photos/test"), options={"labels": "none"}),
        ood=(SetDraft(str(folders / "photos/train"), "photos"),),
    )


def test_a_draft_has_every_key_of_the_classifier_table() -> None:
    keys = {field.name for field in dataclasses.fields(ClassifierSpec)}
    assert keys <= {field.name for field in dataclasses.fields(Draft)}


def test_an_encoder_comes_back_from_its_file_as_one(encoder: Draft) -> None:
    exp = wizard.new_experiment(wizard.complete(encoder))
    assert exp.classifier.headless
    again = wizard.draft_of(load_experiment(save_experiment(exp)))
    assert (again.kind, again.num_classes) == ("encoder", 0)
    assert wizard.new_experiment(again) == exp


@pytest.mark.parametrize("key", ["obtain", "features"])
def test_text_keys_come_back(encoder: Draft, key: str) -> None:
    exp = wizard.new_experiment(dataclasses.replace(encoder, **{key: "some text"}))
    again = wizard.draft_of(load_experiment(save_experiment(exp)))
    assert getattr(again, key) == "some text"


def test_completing_an_encoder_keeps_that_it_has_no_classes(encoder: Draft) -> None:
    done = wizard.complete(encoder)
    assert done.num_classes == 0
    assert done.preprocessing is not None
    by_chance = dataclasses.replace(encoder, checkpoint="", random_weights=0)
    assert wizard.complete(by_chance).num_classes == 0


def test_an_encoder_is_checked_without_asking_for_labels(encoder: Draft) -> None:
    lines = wizard.check_draft(wizard.complete(encoder))
    assert all(line.ok for line in lines), lines
    assert any("no head, 64 penultimate features" in line.text for line in lines)


def test_accuracy_of_an_encoder_is_not_measured(encoder: Draft) -> None:
    with pytest.raises(ModelError, match="no classes, so accuracy cannot tell"):
        wizard.measure(wizard.complete(encoder))


def test_the_architecture_of_an_encoder_is_found(encoder: Draft) -> None:
    done = wizard.complete(dataclasses.replace(encoder, architecture=""))
    assert (done.architecture, done.num_classes) == ("resnet20", 0)


def test_a_checkpoint_without_a_head_says_so_and_is_one_click_from_an_encoder(
    encoder: Draft,
) -> None:
    network = dataclasses.replace(encoder, kind="network", num_classes=None, architecture="")
    done = wizard.complete(network)
    bad = [line for line in wizard.check_draft(done) if line.ok is False]
    fixed = [fix.draft for line in bad for fix in line.fixes if fix.draft.num_classes == 0]
    assert fixed
    assert fixed[0].kind == "encoder"
    assert all(line.ok for line in wizard.check_draft(wizard.complete(fixed[0])))


def test_changing_what_one_has_keeps_what_still_applies(encoder: Draft) -> None:
    network = wizard.with_kind(encoder, "network")
    assert network.num_classes is None
    assert (network.checkpoint, network.fit) == (encoder.checkpoint, encoder.fit)
    assert wizard.with_kind(network, "encoder").num_classes == 0
    features = wizard.with_kind(encoder, "features")
    assert (features.checkpoint, features.architecture, features.num_classes) == ("", "", None)
    assert features.preprocessing is None
    assert not features.fit.source
    with pytest.raises(OODLensError, match="'networks' is not"):
        wizard.with_kind(encoder, "networks")


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A network file that says itself what it is: here by its content alone."""
    import zipfile

    with zipfile.ZipFile(tmp_path / "net.bin.zip", "w") as archive:
        archive.writestr("net/archive_format", "pt2")
    return (tmp_path / "net.bin.zip").rename(tmp_path / "net.pt2")


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    folder = tmp_path / "vit"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["ViTForImageClassification"]}')
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def test_a_file_that_holds_the_whole_network_needs_no_architecture(exported, hub) -> None:
    done = wizard.complete(Draft(checkpoint=str(exported)))
    assert (done.architecture, done.kind) == ("torch.export", "network")
    done = wizard.complete(Draft(checkpoint=str(hub)))
    assert (done.architecture, done.kind) == ("huggingface", "hub")
    assert done.checkpoint == str(hub), "the folder, not the weights in it"


def test_an_encoder_may_be_a_whole_network_too(exported) -> None:
    done = wizard.complete(Draft(kind="encoder", num_classes=0, checkpoint=str(exported)))
    assert (done.architecture, done.num_classes, done.kind) == ("torch.export", 0, "encoder")


def test_looking_through_a_folder_finds_whole_networks(folders, exported, hub) -> None:
    exported.rename(folders / "net.pt2")
    (folders / "best.onnx").write_bytes(b"\x08\x09\x12\x00")
    hub.rename(folders / "vit")
    found = wizard.survey(folders)
    assert {p.name for p in found.checkpoints} == {"net.pt2", "best.onnx", "vit"}
    assert found.checkpoints[0].name == "best.onnx"
    assert wizard.survey(folders / "vit").checkpoints == (folders / "vit",)

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


@pytest.mark.parametrize("key", ["obtain", "features", "part"])
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


def test_a_checkpoint_without_a_head_makes_the_draft_an_encoder(encoder: Draft) -> None:
    network = dataclasses.replace(encoder, kind="network", num_classes=None, architecture="")
    done = wizard.complete(network)
    assert (done.kind, done.architecture, done.num_classes) == ("encoder", "resnet20", 0)
    assert all(line.ok for line in wizard.check_draft(done))


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


def test_an_architecture_that_was_chosen_is_not_replaced_by_a_file_of_a_whole_network(
    exported: Path,
) -> None:
    draft = Draft(checkpoint=str(exported), architecture="resnet20")
    done = wizard.complete(draft)
    assert done.architecture == "resnet20"
    (bad,) = [line for line in wizard.check_draft(done) if line.given and not line.ok]
    assert "Leave architecture out" in bad.text
    assert bad.fixes[0].draft.architecture == "torch.export"


def test_naming_a_file_of_a_whole_network_drops_code_of_ones_own(exported: Path) -> None:
    own = wizard.with_architecture(Draft(), "net.py:Net", {"width": 3})
    assert wizard.with_weights(own, "weights.pt").architecture == "net.py:Net"
    found = wizard.with_weights(own, str(exported))
    assert (found.architecture, found.trust, found.arguments) == ("", "", {})


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


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """Features of three classes, of something else, and the head."""
    import numpy as np

    folder, rng = tmp_path / "arrays", np.random.default_rng(0)
    folder.mkdir()
    for name, n in (("fit", 30), ("test", 15)):
        y = np.arange(n) % 3
        h = rng.random((n, 8)).astype(np.float32) + 3 * np.eye(8, dtype=np.float32)[y]
        np.savez(folder / f"{name}.npz", features=h, labels=y)
    np.savez(folder / "speech.npz", features=rng.random((20, 8)).astype(np.float32))
    np.savez(folder / "head.npz", weight=np.eye(3, 8), bias=np.zeros(3))
    return folder


def _features(folder: Path, **fields: object) -> Draft:
    found = wizard.survey(folder)
    draft = wizard.with_kind(Draft("mine"), "features")
    (fit, test), *_ = found.pairs
    return dataclasses.replace(draft, fit=fit, test=test, ood=found.others, **fields)


def test_looking_through_finds_features_and_their_head(features: Path) -> None:
    found = wizard.survey(features)
    assert found.features
    assert [(Path(f.source).name, Path(t.source).name) for f, t in found.pairs] == [
        ("fit.npz", "test.npz")
    ]
    assert [(s.name, Path(s.source).name) for s in found.others] == [("speech", "speech.npz")]
    assert found.head == str(features / "head.npz")
    assert not found.checkpoints


def test_images_go_before_features_unless_those_are_asked_for(folders, features) -> None:
    features.rename(folders / "arrays")
    assert not wizard.survey(folders).features
    found = wizard.survey(folders, features=True)
    assert found.features
    assert [Path(s.source).name for pair in found.pairs for s in pair] == ["fit.npz", "test.npz"]


def test_features_are_checked_array_by_array_and_come_back_from_their_file(features) -> None:
    draft = _features(features, head=str(features / "head.npz"), class_names=("a", "b", "c"))
    lines = wizard.check_draft(wizard.complete(draft))
    assert all(line.ok for line in lines), lines
    said = {line.part: line.text for line in lines}
    assert said["classifier"] == "8 features, 1 layer, 3 classes in the head."
    assert "30 rows" in said["fit"]
    assert "features (30, 8) float32, labels (30,) int64, 3 classes: a, b, c." in said["fit"]
    assert said["speech"].endswith("features (20, 8) float32, no labels.")
    exp = wizard.new_experiment(draft)
    again = wizard.draft_of(load_experiment(save_experiment(exp)))
    assert again.kind == "features"
    assert wizard.new_experiment(again) == exp


@pytest.mark.parametrize(
    ("name", "arrays", "part", "said"),
    [
        ("fit", {"wrong": (30, 8)}, "fit", "no array 'features'"),
        ("head", {"weight": (3, 7)}, "classifier", "7"),
        ("speech", {"features": (20, 0)}, "speech", "features"),
    ],
)
def test_what_is_wrong_with_features_is_said_where_it_is(
    features: Path, name: str, arrays: dict[str, tuple[int, ...]], part: str, said: str
) -> None:
    import numpy as np

    draft = _features(features, head=str(features / "head.npz"))
    np.savez(features / f"{name}.npz", **{k: np.zeros(s) for k, s in arrays.items()})
    bad = {line.part: line.text for line in wizard.check_draft(draft) if line.ok is False}
    assert said in bad[part]


def test_missing_features_are_called_features() -> None:
    draft = wizard.with_kind(Draft("mine"), "features")
    with pytest.raises(OODLensError, match=r"fit features are missing: .* fit.npz"):
        wizard.new_experiment(draft)
    assert [line.text for line in wizard.check_draft(draft)] == [
        "No features are chosen yet.", "No fit features are chosen yet.",
        "No test features are chosen yet.",
    ]  # fmt: skip


def test_one_class_comes_back(folders: Path, checkpoint: Callable[..., Path]) -> None:
    draft = wizard.complete(
        Draft(
            "mine", checkpoint=str(checkpoint()), classes=("cat",),
            fit=SetDraft(str(folders / "photos/train")),
            test=SetDraft(str(folders / "photos/test")),
        )
    )  # fmt: skip
    assert all(line.ok for line in wizard.check_draft(draft))
    exp = wizard.new_experiment(draft)
    assert exp.ood_sets == ("other classes",)
    again = wizard.draft_of(load_experiment(save_experiment(exp)))
    assert (again.classes, again.ood) == (("cat",), ())
    assert wizard.new_experiment(again) == exp

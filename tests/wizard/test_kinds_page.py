"""The four ways into the wizard, in Streamlit's own test runner."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ood_core import wizard
from ood_core.experiments import load_experiment
from ood_core.wizard import Draft
from tests.wizard_page import texts, wait

ROOT = Path(__file__).parents[2]


def steps(at: AppTest) -> list[str]:
    found = re.findall(r"<h2 class='section'>(\d) · ([^<]+)</h2>", texts(at))
    return [name for _, name in sorted(found)]


def draft(at: AppTest) -> Draft:
    """What was chosen so far."""
    return at.session_state["_draft"]


def keys(at: AppTest) -> set[str]:
    kinds = ("text_input", "number_input", "selectbox", "button", "text_area", "multiselect")
    return {element.key for kind in kinds for element in getattr(at, kind) if element.key}


@pytest.fixture
def encoder(checkpoint: Callable[..., Path], folders: Path) -> Path:
    """Weights without their head, beside images without classes."""
    import torch

    whole = torch.load(checkpoint(), weights_only=True)["state_dict"]
    left = {k: v for k, v in whole.items() if not k.startswith("linear.")}
    assert len(left) < len(whole)
    torch.save(left, folders / "encoder.pth")
    return folders


def test_what_one_has_is_asked_first(page: AppTest) -> None:
    assert page.button_group(key="new_kind").value == "network"
    assert steps(page) == ["Classifier", "Images", "Preprocessing", "Checks", "Save"]
    for kind, first in (("encoder", "Encoder"), ("hub", "Network")):
        page.button_group(key="new_kind").set_value(kind).run()
        assert not page.exception
        assert steps(page) == [first, "Images", "Preprocessing", "Checks", "Save"]
        assert draft(page).kind == kind
    assert "new_source" not in {group.key for group in page.button_group}


def test_an_encoder_becomes_a_saved_experiment(page: AppTest, encoder: Path) -> None:
    page.button_group(key="new_kind").set_value("encoder").run()
    assert "new_num_classes" not in keys(page)
    page.text_input(key="new_folder").set_value(str(encoder))
    page.button(key="new_look").click().run()
    shown = wait(page, "The classifier loads")
    assert "resnet20: no head, 64 penultimate features" in shown
    assert "<li class='bad'>" not in shown
    assert "new_measure" not in keys(page), "accuracy is not defined without classes"
    page.text_input(key="new_name").set_value("mine").run()
    page.button(key="new_save").click().run()
    assert not page.exception
    assert load_experiment("mine").classifier.headless


def test_the_way_of_a_draft_follows_from_its_file(page: AppTest, tmp_path: Path) -> None:
    (tmp_path / "vit").mkdir()
    (tmp_path / "vit/config.json").write_text('{"model_type": "vit"}')
    page.text_input(key="new_checkpoint").set_value(str(tmp_path / "vit")).run()
    wait(page, "The classifier loads")
    page.run()
    assert draft(page).kind == page.button_group(key="new_kind").value == "hub"
    assert draft(page).architecture == "huggingface"
    assert "new_architecture" not in keys(page)


def test_changing_the_way_keeps_the_images(page: AppTest, folders: Path) -> None:
    page.text_input(key="new_fit").set_value(str(folders / "photos/train")).run()
    for kind in wizard.KINDS:
        if kind != "features":
            page.button_group(key="new_kind").set_value(kind).run()
            assert draft(page).fit.source == str(folders / "photos/train")


def test_own_code_is_named_with_its_arguments(page: AppTest, folders: Path) -> None:
    code = folders / "net.py"
    code.write_text("open('ran', 'w').close()\nclass Net: ...\n")
    page.text_input(key="new_checkpoint").set_value(str(folders / "gone.pt")).run()
    page.button_group(key="new_family").set_value("my own code").run()
    page.text_area(key="new_arguments").set_value("depth = 40\nnorm = batch").run()
    page.text_input(key="new_own_code").set_value(f"{code}:Net").run()
    assert not page.exception
    assert draft(page).architecture == f"{code}:Net"
    assert draft(page).arguments == {"depth": 40, "norm": "batch"}
    shown = page.text_area(key="new_arguments").value or ""
    assert wizard.arguments_from(shown) == draft(page).arguments
    page.text_area(key="new_arguments").set_value("depth").run()
    assert any("name = value, got 'depth'" in e.value for e in page.error)
    assert draft(page).arguments == {"depth": 40, "norm": "batch"}
    page.text_input(key="new_checkpoint").set_value("").run()
    assert draft(page).architecture == f"{code}:Net"
    assert not list(folders.rglob("ran"))
    assert not Path("ran").exists()


def test_own_code_runs_once_the_visitor_agrees(page: AppTest, folders: Path) -> None:
    code = folders / "net.py"
    code.write_text(
        f"open({str(folders / 'ran')!r}, 'w').close()\n"
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, width):\n"
        "        super().__init__(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),\n"
        "                         nn.Flatten(), nn.Linear(width, 3))\n"
    )
    page.button_group(key="new_source").set_value("random").run()
    page.button_group(key="new_family").set_value("my own code").run()
    page.text_area(key="new_arguments").set_value("width = 8").run()
    page.text_input(key="new_own_code").set_value(f"{code}:Net").run()
    wait(page, "nobody has agreed to run")
    assert not (folders / "ran").exists()
    page.button(key="consent_show_draft").click().run()
    page.button(key="consent_run").click().run()
    wait(page, "3 classes, 8 penultimate features")
    assert (folders / "ran").exists()


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """Features of three classes and of something else, with their head."""
    import numpy as np

    folder, rng = tmp_path / "arrays", np.random.default_rng(0)
    folder.mkdir()
    for name, n in (("fit", 60), ("test", 30)):
        y = np.arange(n) % 3
        h = rng.random((n, 8)).astype(np.float32) + 3 * np.eye(8, dtype=np.float32)[y]
        np.savez(folder / f"{name}.npz", features=h, labels=y)
    np.savez(folder / "speech.npz", features=rng.random((20, 8)).astype(np.float32))
    np.savez(folder / "head.npz", weight=np.eye(3, 8), bias=np.zeros(3))
    return folder


def test_features_become_a_saved_experiment(page: AppTest, features: Path) -> None:
    page.text_input(key="new_folder").set_value(str(features))
    page.button(key="new_look").click().run()
    assert "Found 1 head, 1 pair of fit and test features and 1 other set." in [
        s.value for s in page.success
    ]
    shown = wait(page, "The head fits the features")
    assert page.button_group(key="new_kind").value == "features"
    assert steps(page) == ["Features", "Head and classes", "Checks", "Save"]
    assert "8 features, 1 layer, 3 classes in the head." in shown
    assert "features (60, 8) float32, labels (60,) int64" in shown
    assert "<li class='bad'>" not in shown
    assert "What the network sees" not in shown
    page.button(key="new_gates").click().run()
    wait(page, "The head explains the logits")
    page.text_input(key="new_name").set_value("mine").run()
    page.button(key="new_save").click().run()
    assert not page.exception
    exp = load_experiment("mine")
    assert exp.classifier.features_only
    assert exp.classifier.head == features / "head.npz"
    assert exp.ood_sets == ("speech",)


def test_features_can_be_typed_and_say_what_is_wrong(page: AppTest, features: Path) -> None:
    page.button_group(key="new_kind").set_value("features").run()
    page.text_input(key="new_fit").set_value(str(features / "head.npz")).run()
    shown = wait(page, "no array 'features'")
    assert "weight (3, 8)" in shown, "what is in it instead"
    assert shown.count("<li class='open'>") == 1
    page.text_input(key="new_fit").set_value(str(features / "fit.npz")).run()
    page.multiselect(key="new_ood").set_value([str(features / "speech.npz")]).run()
    assert [s.name for s in draft(page).ood] == ["speech"]
    wait(page, "Features of speech can be used")


def test_one_class_can_be_chosen(page: AppTest, folders: Path) -> None:
    page.text_input(key="new_fit").set_value(str(folders / "photos/train")).run()
    page.text_input(key="new_id_classes").set_value("cat").run()
    assert draft(page).classes == ("cat",)
    wait(page, "6 images, 1 classes: cat")


def test_an_encoder_gets_a_head(page: AppTest, tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "classes.npz", embeddings=np.eye(3, 64) + 0.1)
    np.savez(tmp_path / "probe.npz", weight=np.eye(3, 64))
    page.button_group(key="new_kind").set_value("encoder").run()
    assert "new_text" not in keys(page)
    page.button_group(key="new_source").set_value("random").run()
    page.selectbox(key="new_architecture").set_value("resnet20").run()
    wait(page, "no head, 64 penultimate features")
    page.button_group(key="new_head_kind").set_value("text").run()
    page.text_input(key="new_text").set_value(str(tmp_path / "classes.npz")).run()
    page.number_input(key="new_temperature").set_value(0.2).run()
    assert (draft(page).temperature, draft(page).num_classes) == (0.2, 0)
    wait(page, "3 classes by text, temperature 0.2")
    assert "new_class_names" in keys(page)
    assert "new_num_classes" not in keys(page), "they are those of the head"
    page.button_group(key="new_head_kind").set_value("head").run()
    assert (draft(page).text, draft(page).temperature) == ("", None)
    page.text_input(key="new_head").set_value(str(tmp_path / "probe.npz")).run()
    wait(page, "resnet20: 3 classes, 64 penultimate features")
    page.button_group(key="new_kind").set_value("network").run()
    assert not draft(page).head
    page.button_group(key="new_kind").set_value("encoder").run()
    assert page.button_group(key="new_head_kind").value == ""
    assert not page.exception

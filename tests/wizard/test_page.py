"""The wizard on the overview page, in Streamlit's own test runner."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ood_core import activations, wizard
from ood_core.experiments import load_experiment, to_toml
from ood_core.wizard import Draft, SetDraft
from pages.components.kit import address
from tests.wizard_page import texts, wait

ROOT = Path(__file__).parents[2]


@pytest.fixture
def full(folders: Path, checkpoint: Callable[..., Path]) -> Path:
    checkpoint(name="mine/best.pth")
    return folders


@pytest.fixture
def own(page: AppTest, full: Path) -> AppTest:
    """The page on a draft that can be used, checked, with a network of three classes."""
    page.session_state["_draft"] = Draft(
        architecture="resnet20",
        checkpoint=str(full / "best.pth"),
        fit=SetDraft(str(full / "photos/train"), "fit"),
        test=SetDraft(str(full / "photos/test"), "test"),
        ood=(SetDraft(str(full / "drawings"), "drawings"),),
    )
    wait(page, "resnet20: 3 classes")
    return page


def draft(at: AppTest) -> Draft:
    """What was chosen so far."""
    return at.session_state["_draft"]


def test_a_folder_becomes_a_saved_experiment(page: AppTest, full: Path) -> None:
    page.text_input(key="new_folder").set_value(str(full))
    page.button(key="new_look").click().run()
    shown = wait(page, "The classifier loads")
    assert shown.count("<li class='good'>") == 6
    assert "resnet20: 3 classes, 64 penultimate features" in shown
    assert "What the network sees" in shown
    assert "data:image/png;base64" in shown
    page.text_input(key="new_name").set_value("mine").run()
    page.button(key="new_save").click().run()
    assert not page.exception
    assert "Saved as" in page.success[0].value
    exp = load_experiment("mine")
    assert exp.ood_sets == ("drawings",)
    assert page.selectbox(key="experiment").value == "mine"
    assert page.button(key="prepare").label == "Prepare"


def test_the_sanity_gates_are_lines_on_the_page(page: AppTest, full: Path) -> None:
    page.text_input(key="new_folder").set_value(str(full))
    page.button(key="new_look").click().run()
    wait(page, "The classifier loads")
    page.button(key="new_gates").click().run()
    shown = wait(page, "The head explains the logits")
    exp = wizard.new_experiment(dataclasses.replace(page.session_state["_draft"], name="draft"))
    lines = wizard.gate_checks(activations.prepared(wizard.sample(exp)))
    assert len(lines) == 9
    for line in lines:
        assert line.text in shown
        assert line.remedy in shown


def test_a_wrong_checkpoint_is_one_click_away_from_the_right_architecture(
    page: AppTest, full: Path, checkpoint: Callable[..., Path]
) -> None:
    page.session_state["_draft"] = Draft(
        architecture="resnet20",
        checkpoint=str(checkpoint("resnet32", name="deep.pth")),
        num_classes=3,
        fit=SetDraft(str(full / "photos/train"), "fit"),
        test=SetDraft(str(full / "gone"), "test"),
    )
    shown = wait(page, "The classifier loads")
    for line in wizard.check_draft(page.session_state["_draft"]):
        assert line.text in shown, "the page shows what check_draft says"
    assert "60 unexpected" in shown
    assert "gone' does not exist" in shown
    assert page.button(key="new_save").disabled
    (fix,) = [b for b in page.button if b.label == "Use resnet32, which fits completely"]
    fix.click().run()
    assert "resnet32: 3 classes" in wait(page, "resnet32: 3 classes")


def test_what_a_checkpoint_holds_beside_its_weights_is_one_click_away(
    page: AppTest, full: Path, tmp_path: Path
) -> None:
    import torch

    from ood_core.models.architectures import build

    last, averaged = (build("resnet20", 3).state_dict() for _ in range(2))
    stored = {"mu": torch.full((3, 1, 1), 127.5), "sigma": torch.full((3, 1, 1), 51.0)}
    named = {f"{p}.{k}": v for p, s in (("net", last), ("net_ema", averaged)) for k, v in s.items()}
    torch.save({**stored, **named}, tmp_path / "both.pth")
    page.session_state["_draft"] = Draft(
        checkpoint=str(tmp_path / "both.pth"),
        fit=SetDraft(str(full / "photos/train"), "fit"),
        test=SetDraft(str(full / "photos/test"), "test"),
    )
    shown = wait(page, "What was loaded")
    assert "averaged weights win" in shown
    assert "stores mean 0.5, 0.5, 0.5 and std 0.2, 0.2, 0.2" in shown
    page.button(key="new_gates")  # a preprocessing that may be wrong does not stop the gates
    (use,) = [b for b in page.button if b.label.startswith("Use mean 0.5, 0.5, 0.5")]
    use.click().run()
    assert "As mu and sigma in the file." in wait(page, "As mu and sigma")
    (other,) = [b for b in page.button if b.label == "Use net"]
    other.click().run()
    wait(page, "asks for it")
    draft = page.session_state["_draft"]
    assert (draft.part, draft.preprocessing.mean) == ("net", (0.5,) * 3)


def test_a_file_of_someone_else_opens_with_what_is_missing(page: AppTest, full: Path) -> None:
    text = to_toml(load_experiment("cifar10-jpeg-densenet"))
    file = full / "theirs.toml"
    file.write_text(text)
    page.text_input(key="load_path").set_value(str(file)).run()
    page.button(key="load_open").click().run()
    shown = wait(page, "The classifier loads")
    assert "does not exist. Looked at" in shown
    assert "<li class='bad'>" in shown
    page.text_input(key="load_path").set_value(str(full / "none.toml")).run()
    page.button(key="load_open").click().run()
    assert "does not exist" in page.error[0].value
    page.text_input(key="load_path").set_value(str(file)).run()
    page.button(key="load_open").click().run()
    assert not page.error


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        ("new_mean", "nan, nan, nan", "Values: mean must be finite numbers, got"),
        ("new_mean", "0.5, x, 0.5", "mean must be numbers with commas between them"),
        ("new_std", "inf, 1, 1", "Values: std must be finite numbers, got"),
        ("new_std", "1, 0, 1", "Values: std must be numbers above 0, got"),
        ("new_std", "1, 1", "Values: std must be 3 numbers for mode 'RGB', got"),
    ],
)
def test_values_that_are_no_preprocessing_are_refused(
    own: AppTest, field: str, typed: str, message: str
) -> None:
    before = draft(own).preprocessing
    own.text_input(key=field).set_value(typed).run()
    assert message in own.error[0].value
    assert draft(own).preprocessing == before
    for _ in range(2):
        assert own.text_input(key=field).value == typed, "it stays, so that it can be corrected"
        own.run()
    own.text_input(key=field).set_value("0.5, 0.25, 0.5").run()
    assert getattr(draft(own).preprocessing, field.removeprefix("new_")) == (0.5, 0.25, 0.5)
    assert not own.error


def test_a_proposal_chosen_again_takes_the_place_of_own_values(own: AppTest) -> None:
    before = draft(own).preprocessing
    label = own.selectbox(key="new_preprocessing").value
    own.text_input(key="new_mean").set_value("0.5, 0.25, 0.5").run()
    assert draft(own).preprocessing != before
    own.run()
    assert own.selectbox(key="new_preprocessing").value == "my own values"
    own.selectbox(key="new_preprocessing").set_value(label).run()
    assert draft(own).preprocessing == before


def test_sides_are_bounded_and_can_be_emptied(own: AppTest) -> None:
    for key in ("new_resize", "new_crop"):
        assert own.number_input(key=key).max == 4096
    own.number_input(key="new_resize").set_value(48).run()
    own.number_input(key="new_resize").set_value(None).run()
    own.number_input(key="new_expected").set_value(91.5).run()
    assert draft(own).expected_accuracy == pytest.approx(0.915)
    own.number_input(key="new_expected").set_value(None).run()
    found = draft(own)
    assert (found.preprocessing.resize, found.preprocessing.center_crop) == (None, 32)
    assert found.expected_accuracy is None


def test_precise_values_are_not_rounded_by_showing_them(own: AppTest) -> None:
    mean = (0.49139968, 0.48215841, 0.44653091)
    changed = dataclasses.replace(draft(own).preprocessing, mean=mean)
    own.session_state["_draft"] = dataclasses.replace(draft(own), preprocessing=changed)
    own.run()
    assert draft(own).preprocessing.mean == mean


def test_a_name_is_judged_where_it_is_saved_and_a_better_one_stays(own: AppTest) -> None:
    for name in ("a!", "good", "better"):
        own.text_input(key="new_name").set_value(name).run()
        assert own.text_input(key="new_name").value == name
        shown = wait(own, "resnet20: 3 classes")
        assert "<li class='bad'>" not in shown
        assert draft(own).name == name
        said = [c.value for c in own.caption if "must begin with a letter" in c.value]
        assert own.button(key="new_save").disabled == (name == "a!")
        assert len(said) == (name == "a!")
        assert all(text.startswith("Name = 'a!' must begin") for text in said), "names no file"


def test_a_name_typed_while_the_checks_run_is_kept(page: AppTest, full: Path) -> None:
    page.session_state["_draft"] = Draft(
        name="mine", checkpoint=str(full / "best.pth"), fit=SetDraft(str(full / "photos/train"))
    )
    page.run()
    page.text_input(key="new_name").set_value("other").run()
    wait(page, "resnet20: 3 classes")
    assert (draft(page).name, draft(page).num_classes) == ("other", 3)


def test_a_path_is_what_was_typed_or_one_that_was_found(
    page: AppTest, full: Path, checkpoint: Callable[..., Path]
) -> None:
    other = checkpoint("resnet32", name="mine/last.pth")
    for typed in (str(full), str(full / "best.pth")):
        page.text_input(key="new_checkpoint").set_value(typed).run()
        assert page.text_input(key="new_checkpoint").value == draft(page).checkpoint == typed
    wait(page, "resnet20: 3 classes")
    page.text_input(key="new_folder").set_value(str(full))
    page.button(key="new_look").click().run()
    assert draft(page).checkpoint == str(full / "best.pth"), "what was chosen stays"
    found = page.selectbox(key="new_checkpoint_found")
    assert found.options == [f"…/mine/{other.name}"]
    found.select_index(0).run()
    assert page.text_input(key="new_checkpoint").value == draft(page).checkpoint == str(other)
    wait(page, "resnet32: 3 classes")


def test_an_ood_list_has_a_field_for_the_folder_that_its_paths_start_from(
    own: AppTest, full: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "far.txt"
    listed.write_text("00.png -1\n01.png -1\n")
    chosen = SetDraft(str(listed), "far", near=True)
    own.session_state["_draft"] = dataclasses.replace(draft(own), ood=(*draft(own).ood, chosen))
    wait(own, "Images of far can be used")
    for root in ("nowhere", str(full / "drawings")):
        own.text_input(key=f"new_root_of_{listed}").set_value(root).run()
        assert draft(own).ood[1] == dataclasses.replace(chosen, options={"root": root})
    assert "2 images, no labels" in wait(own, "2 images, no labels")
    assert not draft(own).ood[0].options, "a folder needs none"


def test_another_family_or_source_of_weights_begins_anew(page: AppTest) -> None:
    def empty() -> bool:
        found = draft(page)
        return (found.architecture, found.weights, found.preprocessing) == ("", "", None)

    def choose_resnet() -> None:
        page.selectbox(key="new_architecture").set_value("torchvision:resnet18").run()
        assert draft(page).weights == "IMAGENET1K_V1"

    page.button_group(key="new_source").set_value("published").run()
    choose_resnet()
    page.button_group(key="new_family").set_value("timm").run()
    assert empty()
    assert page.button_group(key="new_family").value == "timm"
    page.button_group(key="new_family").set_value("torchvision").run()
    choose_resnet()
    page.button_group(key="new_source").set_value("random").run()
    assert empty()
    assert draft(page).random_weights == 0


def test_a_set_to_be_downloaded_does_not_stop_saving(own: AppTest) -> None:
    own.session_state["_draft"] = dataclasses.replace(
        draft(own), name="mine", ood=(SetDraft("torchvision:SVHN", "SVHN"),)
    )
    shown = wait(own, "SVHN is not on this machine.")
    assert shown.count("<li class='open'>") == 1
    own.button(key="new_save").click().run()
    assert "Saved as" in own.success[0].value
    assert load_experiment("mine").ood_sets == ("SVHN",)
    assert [b.label for b in own.button if "Download" in b.label and "64 MB" in b.label]


def test_a_message_stays_until_the_next_action(page: AppTest, full: Path) -> None:
    page.text_input(key="new_folder").set_value(str(full))
    page.button(key="new_look").click().run()
    wait(page, "resnet20: 3 classes")
    for _ in range(2):
        assert [s.value for s in page.success] == [
            "Found 1 checkpoint, 1 pair of fit and test images and 1 other set."
        ]
        page.run()
    page.text_input(key="new_name").set_value("mine").run()
    assert not page.success
    page.button(key="new_save").click().run()
    assert "Saved as" in page.success[0].value
    page.run()
    assert not page.success, "outside of the wizard it is gone with the next run"


def test_values_that_match_a_proposal_stay_open(own: AppTest) -> None:
    def is_open() -> bool:
        (found,) = [e for e in own.expander if e.label == "Values"]
        return found.proto.expanded

    label = own.selectbox(key="new_preprocessing").value
    mean = own.text_input(key="new_mean").value
    assert not is_open()
    own.selectbox(key="new_preprocessing").set_value("my own values").run()
    for typed in ("0.5, 0.5, 0.5", mean):
        own.text_input(key="new_mean").set_value(typed).run()
        own.run()
        assert is_open()
    assert own.selectbox(key="new_preprocessing").value == label


def test_a_taken_name_is_replaced_only_when_that_is_ticked(own: AppTest, full: Path) -> None:
    own.text_input(key="new_name").set_value("mine").run()
    own.button(key="new_save").click().run()
    kept = draft(own)
    own.query_params["wizard"] = "on"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(address, "walked", lambda: True)  # by Back
        own.run()
    own.session_state["_draft"] = dataclasses.replace(kept, title="Again")
    wait(own, "resnet20: 3 classes")
    assert own.button(key="new_save").disabled
    said = "choose another name, or tick 'Replace my experiment mine'."
    assert [c.value for c in own.caption if said in c.value]
    own.checkbox(key="new_replace").check().run()
    own.button(key="new_save").click().run()
    assert load_experiment("mine").title == "Again"


def test_what_was_found_can_be_used_as_something_else(page: AppTest, full: Path) -> None:
    (full / "labels.csv").write_text("file,class\nphotos/train/cat/00.png,cat\n")
    page.text_input(key="new_folder").set_value(str(full))
    page.button(key="new_look").click().run()
    wait(page, "Fit images can be used")
    uses = {s.label: s for s in page.selectbox if (s.key or "").startswith("new_use_")}
    shown = {label: s.value for label, s in uses.items()}
    assert shown == {
        "Use …/photos/train as": "fit", "Use …/photos/test as": "test",
        "Use …/mine/drawings as": "ood", "Use …/mine/labels.csv as": "",
    }  # fmt: skip
    assert "Lists the images of train." in [c.value for c in page.caption]
    uses["Use …/mine/labels.csv as"].set_value("fit").run()
    found = draft(page).fit
    assert (found.source, found.name) == (str(full / "labels.csv"), "fit")
    assert found.options == {"path_column": "file", "label_column": "class"}
    assert page.text_input(key="new_fit").value == found.source
    page.selectbox(key=f"new_use_{full / 'photos/train'}").set_value("ood").run()
    assert [s.name for s in draft(page).ood] == ["drawings", "train"]
    page.selectbox(key=f"new_use_{full / 'drawings'}").set_value("").run()
    assert [s.name for s in draft(page).ood] == ["train"]


def test_a_typed_table_brings_its_columns_and_its_root(page: AppTest, full: Path) -> None:
    table = full.parent / "fit.csv"
    table.write_text("file,class\ncat/00.png,cat\n")
    (full / "photos" / "train").rename(full.parent / "pictures")
    page.text_input(key="new_fit").set_value(str(table)).run()
    assert draft(page).fit.options == {
        "path_column": "file", "label_column": "class", "root": str(full.parent / "pictures"),
    }  # fmt: skip
    assert page.text_input(key="new_fit_root").value == str(full.parent / "pictures")


def test_several_checkpoints_are_ranked_and_another_can_be_chosen(
    page: AppTest, full: Path, checkpoint: Callable[..., Path]
) -> None:
    last = checkpoint("resnet32", name="mine/last.pth")
    page.text_input(key="new_checkpoint").set_value(str(full / "*.pth")).run()
    wait(page, "resnet20: 3 classes")
    page.run()
    assert page.text_input(key="new_checkpoint").value == str(full / "best.pth")
    assert [c.value for c in page.caption if c.value.startswith("One of 2 found: named best.")]
    page.selectbox(key="new_checkpoint_found").set_value(str(last)).run()
    wait(page, "resnet32: 3 classes")
    assert draft(page).checkpoint == str(last)


def test_nothing_is_red_before_something_was_entered(page: AppTest, full: Path) -> None:
    shown = wait(page, "No classifier is chosen yet.")
    assert "<li class='bad'>" not in shown
    assert shown.count("<li class='open'>") == 3
    assert not page.error
    assert page.button(key="new_save").disabled
    page.text_input(key="new_fit").set_value(str(full / "gone")).run()
    shown = wait(page, "gone' does not exist")
    assert shown.count("<li class='bad'>") == 1, "what was entered, and that alone"


def test_steps_are_numbered_in_their_order(page: AppTest, own: AppTest) -> None:
    steps = re.findall(r"<h2 class='section'>(\d) · (\w+)</h2>", texts(own))
    assert sorted(steps) == [
        ("1", "Classifier"), ("2", "Images"), ("3", "Preprocessing"), ("4", "Checks"),
        ("5", "Save"),
    ]  # fmt: skip


def test_every_widget_has_a_name_of_its_own(
    page: AppTest, full: Path, checkpoint: Callable[..., Path]
) -> None:
    checkpoint("resnet32", name="mine/last.pth")
    for other in ("a/x/train", "a/x/test", "b/x/train", "b/x/test"):
        (full / other).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(full / "photos/train", full / other)
    page.text_input(key="new_folder").set_value(str(full))
    page.button(key="new_look").click().run()
    wait(page, "The classifier loads")
    page.run()
    kinds = (
        "text_input", "selectbox", "multiselect", "number_input", "checkbox", "file_uploader",
        "button_group", "button", "download_button",
    )  # fmt: skip
    labels = [e.proto.label for kind in kinds for e in page.get(kind)]
    assert len(labels) > 30
    assert all(labels)
    assert sorted(labels) == sorted(set(labels))


def test_no_images_are_shown_of_a_set_that_was_not_chosen(page: AppTest, full: Path) -> None:
    page.session_state["_draft"] = Draft(
        architecture="resnet20", checkpoint=str(full / "best.pth"),
        ood=(SetDraft(str(full / "drawings"), "drawings"),),
    )  # fmt: skip
    shown = wait(page, "<h3>drawings</h3>")
    assert "<h3>fit</h3>" not in shown

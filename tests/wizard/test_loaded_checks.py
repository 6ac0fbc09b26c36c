"""The checks say what was loaded of a checkpoint and what was not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from ood_core import wizard
from ood_core.commands import _main as cli
from ood_core.experiments import load_experiment, save_experiment
from ood_core.models.architectures import build
from ood_core.models.fitting import randomise
from ood_core.wizard import Check, Draft, SetDraft


def weights(seed: int, prefix: str = "") -> dict[str, torch.Tensor]:
    state = randomise(lambda: build("resnet20", 3), seed).state_dict()
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.fixture
def drafted(folders: Path, tmp_path: Path):
    def make(content: object, name: str = "net.pth") -> Draft:
        torch.save(content, tmp_path / name)
        return wizard.complete(
            Draft(
                name="mine",
                checkpoint=str(tmp_path / name),
                fit=SetDraft(str(folders / "photos/train"), "fit"),
                test=SetDraft(str(folders / "photos/test"), "test"),
            )
        )

    return make


def line(draft: Draft, name: str) -> Check:
    (found,) = [check for check in wizard.check_draft(draft) if check.name == name]
    return found


def test_the_part_that_was_loaded_is_named_and_the_other_is_one_click_away(drafted):
    draft = drafted(weights(1, "model.") | weights(2, "ema_model."))
    assert draft.architecture == "resnet20"
    said = line(draft, "What was loaded")
    assert said.ok
    assert "'ema_model' of net.pth, because averaged weights win" in said.text
    assert "Not loaded: 'model' (differs)" in said.text
    (fix,) = said.fixes
    assert fix.draft == dataclasses.replace(draft, part="model")
    other = line(fix.draft, "What was loaded")
    assert "'model' of net.pth, because part = 'model' asks for it" in other.text
    assert [f.draft.part for f in other.fixes] == ["ema_model"]


def test_the_part_is_kept_in_the_file(drafted, own_home):
    draft = dataclasses.replace(drafted({"model": weights(1), "ema": weights(2)}), part="model")
    path = save_experiment(wizard.new_experiment(draft))
    assert 'part = "model"' in path.read_text()
    assert wizard.draft_of(load_experiment(path)).part == "model"


def test_a_choice_that_the_rule_cannot_make_is_offered(drafted):
    draft = drafted({"best": weights(1), "last": weights(2)})
    refused = line(draft, "The classifier loads")
    assert refused.ok is False
    assert "'best', 'last'" in refused.text
    assert [fix.draft.part for fix in refused.fixes] == ["best", "last"]
    for fix in refused.fixes:
        assert line(fix.draft, "The classifier loads").ok


def test_a_part_that_is_not_there_can_be_taken_back(drafted):
    draft = dataclasses.replace(drafted({"state_dict": weights(1)}), part="state")
    refused = line(draft, "The classifier loads")
    assert refused.ok is False
    assert "no part 'state'" in refused.text
    assert refused.fixes[0].draft.part == ""


def new(draft: Draft, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    argv = ["new", draft.name, "--checkpoint", draft.checkpoint, "--fit", draft.fit.source]
    status = cli.main([*argv, "--test", draft.test.source, "--check=0", "--quiet", *more])
    return status, capsys.readouterr().out


def test_new_names_the_parts_and_the_option(drafted, capsys):
    draft = drafted({"best": weights(1), "last": weights(2)})
    status, out = new(draft, capsys)
    assert status == 1
    assert "Use last: --part last" in out
    status, out = new(draft, capsys, "--part", "last")
    assert status == 0
    assert f"ok      What was loaded: {len(weights(1))} tensors in 'last' of net.pth" in out
    assert "Use best: --part best" in out
    assert load_experiment("mine").classifier.part == "last"


STORED = "Mean and std are those in the file"


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_constants_in_the_file_are_offered(drafted, scale, capsys):
    mu, sigma = torch.full((1, 3, 1, 1), 0.5 * scale), torch.full((1, 3, 1, 1), 0.25 * scale)
    draft = drafted({"mu": mu, "sigma": sigma, **weights(1, "model.")})
    assert draft.architecture == "resnet20"
    said = line(draft, STORED)
    assert said.ok is None
    assert "stores mean 0.5, 0.5, 0.5 and std 0.25, 0.25, 0.25 (mu and sigma" in said.text
    assert ("0 to 255" in said.text) == (scale == 255)
    (fix,) = said.fixes
    assert fix.draft.preprocessing == dataclasses.replace(
        draft.preprocessing, mean=(0.5,) * 3, std=(0.25,) * 3
    )
    assert line(fix.draft, STORED).ok
    status, out = new(draft, capsys)
    assert status == 0
    options = "--resize 32 --center-crop 32 --mean 0.5,0.5,0.5 --std 0.25,0.25,0.25"
    assert f"unknown {STORED}: " in out
    assert options in out
    status, out = new(draft, capsys, "--force", *options.split())
    assert f"ok      {STORED}: As mu and sigma in the file." in out


def test_a_file_without_constants_has_no_line_of_them(drafted):
    assert STORED not in [check.name for check in wizard.check_draft(drafted(weights(1)))]


def test_constants_of_another_number_or_order_of_channels_are_named_not_offered(drafted):
    caffe = {"mean": [103.53, 116.28, 123.675], "std": [1.0] * 3}
    said = line(drafted({"state_dict": weights(1), **caffe}), STORED)
    assert "blue, green, red" in said.text
    assert said.fixes == ()


def test_a_run_says_which_weights_it_takes_and_what_it_leaves(drafted, capsys, caplog):
    stored = {"mu": torch.full((3,), 0.5), "sigma": torch.full((3,), 0.25)}
    two = weights(1, "net.") | weights(2, "net_ema.")
    assert new(drafted(stored | two), capsys)[0] == 0
    caplog.clear()
    assert cli.main(["extract", "mine", "--sets", "test", "--quiet"]) == 0
    assert "'net_ema' of net.pth, because averaged weights win" in caplog.text
    assert "stores mean = [0.5, 0.5, 0.5] and std = [0.25, 0.25, 0.25]" in caplog.text


def test_a_run_on_a_plain_checkpoint_says_nothing(drafted, capsys, caplog):
    assert new(drafted({"state_dict": weights(1)}), capsys)[0] == 0
    caplog.clear()
    assert cli.main(["extract", "mine", "--sets", "test", "--quiet"]) == 0
    assert "ood_core.models" not in caplog.text


def test_a_mean_and_std_of_bytes_are_noticed_and_divided(drafted):
    """Pixel values are 0 to 1 before they are applied: 127 would turn every image black."""
    name = "Mean and std are for pixel values of 0 to 1"
    draft = drafted(weights(1))
    assert name not in [check.name for check in wizard.check_draft(draft)]
    given = wizard.with_values(draft, {"mean": (127.5, 127.5, 127.5), "std": (51.0, 51.0, 51.0)})
    said = line(given, name)
    assert said.ok is None
    assert "Mean 127.5, 127.5, 127.5 looks like one for pixel values of 0 to 255." in said.text
    (fix,) = said.fixes
    assert fix.draft.preprocessing.mean == (0.5, 0.5, 0.5)
    assert fix.draft.preprocessing.std == (0.2, 0.2, 0.2)
    only = line(wizard.with_values(draft, {"std": (51.0, 51.0, 51.0)}), name)
    assert only.fixes[0].draft.preprocessing.mean == draft.preprocessing.mean


@pytest.mark.parametrize("text", ["0.5,,0.5", "0,5;0,5", "a,b,c", ""])
def test_new_says_how_numbers_are_given(text, capsys):
    with pytest.raises(SystemExit):
        cli.main(["new", "mine", "--mean", text])
    assert "must be numbers with commas between, such as 0.485" in capsys.readouterr().err

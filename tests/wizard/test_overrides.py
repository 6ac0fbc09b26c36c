"""Values of a preprocessing that are given change only themselves."""

from __future__ import annotations

import itertools

import pytest

from ood_core import wizard
from ood_core.commands._main import main
from ood_core.errors import ConfigError
from ood_core.experiments import Preprocessing, load_experiment
from ood_core.wizard import Draft
from ood_core.wizard.overrides import overridden

BASE = Preprocessing(256, 224, (0.48, 0.45, 0.4), (0.22, 0.23, 0.24), "bicubic", "RGB")
GIVEN = {
    "resize": 300, "center_crop": 200, "mean": (0.1, 0.2, 0.3), "std": (1.0, 2.0, 3.0),
    "interpolation": "box",
}  # fmt: skip


@pytest.mark.parametrize(
    "keys", [k for n in range(6) for k in itertools.combinations(GIVEN, n)], ids=str
)
def test_each_value_changes_itself_alone(keys: tuple[str, ...]) -> None:
    found = vars(overridden(BASE, {key: GIVEN[key] for key in keys}))
    assert found == vars(BASE) | {key: GIVEN[key] for key in keys}


@pytest.mark.parametrize(
    ("given", "sides"),
    [
        ({"resize": 32}, (32, 32)),
        ({"center_crop": 299}, (299, 299)),
        ({"resize": 240}, (240, 224)),
        ({"resize": 32, "center_crop": 48}, (32, 48)),
    ],
)
def test_a_crop_follows_where_it_would_be_larger_than_the_image(given, sides) -> None:
    found = overridden(BASE, given)
    assert (found.resize, found.center_crop) == sides
    assert (found.mean, found.std, found.interpolation) == (BASE.mean, BASE.std, "bicubic")


def test_one_channel_takes_the_average_of_three() -> None:
    found = overridden(BASE, {"mode": "L"})
    assert found.mean == pytest.approx((1.33 / 3,))
    assert len(found.std) == 1
    assert overridden(BASE, {"mode": "L", "mean": (0.5,)}).mean == (0.5,)
    with pytest.raises(ConfigError, match="mean must be 1 number for mode 'L'"):
        overridden(BASE, {"mode": "L", "mean": (0.5, 0.5, 0.5)})


def test_the_base_is_that_of_the_weights(tmp_path) -> None:
    draft = Draft(architecture="torchvision:resnet18", random_weights=0)
    own = wizard.preprocessings(draft)[0].preprocessing
    found = wizard.with_values(draft, {"resize": 32}).preprocessing
    assert (found.resize, found.center_crop) == (32, 32)
    assert (found.mean, found.std) == (own.mean, own.std)
    assert wizard.with_values(draft, {}) == draft, "the weights' own, not a copy of them"
    for proposal in wizard.overridden_proposals(draft, {"mean": (0.5, 0.5, 0.5)}):
        assert proposal.preprocessing.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    "options",
    [["--resize", "40"], ["--mean", "0.1,0.2,0.3"], ["--std", "1,2,3"], ["--center-crop", "24"],
     ["--interpolation", "box"]],
)  # fmt: skip
def test_new_writes_the_likely_values_but_for_the_given_one(folders, checkpoint, options) -> None:
    def made(name: str, *more: str) -> Preprocessing:
        line = ["new", name, "--checkpoint", str(path), "--from", str(folders), "--check", "0"]
        assert main([*line, *more]) == 0
        return load_experiment(name).preprocessing

    path = checkpoint(name="mine/best.pth")
    plain, found = vars(made("plain")), vars(made("own", *options))
    key = options[0].removeprefix("--").replace("-", "_")
    assert {k for k in plain if plain[k] != found[k]} == {key}


def test_a_value_that_cannot_be_is_named(folders, checkpoint, capsys) -> None:
    path = checkpoint(name="mine/best.pth")
    line = ["new", "x", "--checkpoint", str(path), "--from", str(folders)]
    assert main([*line, "--std", "0,1,1"]) != 0
    assert "std must be numbers above 0" in capsys.readouterr().err

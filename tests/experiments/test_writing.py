"""What is written is what is read again."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ood_core import experiments
from ood_core.errors import ConfigError
from ood_core.experiments import (
    Experiment,
    load_experiment,
    parse_experiment,
    save_experiment,
    to_toml,
)

BUILTIN = Path(experiments.__file__).parent / "builtin"
AWKWARD = [
    "plain",
    "two words",
    'quote " and \\ back',
    "tab\tand\nline",
    "grüß 漢字 😀",
    "\x7f\x01",
    "#=[]{}",
]


def without_path(experiment: Experiment) -> Experiment:
    return dataclasses.replace(experiment, path=None)


def random_tables(rng: np.random.Generator) -> dict[str, object]:
    """Tables of a valid experiment file with every key now and then, built-in data only."""

    def maybe(**values: object) -> dict[str, object]:
        return {k: v for k, v in values.items() if rng.random() < 0.5}

    def text() -> str:
        return AWKWARD[rng.integers(len(AWKWARD))] + str(rng.integers(100))

    grey = bool(rng.random() < 0.5)
    channels = 1 if grey else 3
    classes = int(rng.integers(2, 6))
    values: dict[str, object] = {
        "name": f"exp {rng.integers(1000)}",
        "classifier": {
            "architecture": text(),
            "random_weights": int(rng.integers(9)),
            **maybe(num_classes=classes, expected_accuracy=float(rng.random()), obtain=text()),
            **maybe(class_names=[text() + str(i) for i in range(classes)]),
        },
        "id": {
            "fit": {"builtin": "digits:fit", **maybe(limit=int(rng.integers(1, 99)))},
            "test": {"torchvision": "CIFAR10", **maybe(label_map={text(): 1, "x": text()})},
        },
        "ood": [
            {
                "name": f"set {i}",
                "torchvision": "SVHN",
                **maybe(near=True, per_class=3, count=7, obtain=text(), split="extra"),
                **maybe(label_map={text(): 1, "x": text()}),
            }
            for i in range(int(rng.integers(0, 4)))
        ],
        **maybe(
            title=text(),
            description=" ".join(text().split()),
            detectors={
                "line": {"clip": float(rng.random()), "p_a": 90, "contrib": text(), "x": True},
                text(): {"many": [1, 2.5], text(): -1},
            },
        ),
    }
    if rng.random() < 0.5:
        values["preprocessing"] = {
            "mode": "L" if grey else "RGB",
            **maybe(resize=32, center_crop=28, interpolation="bicubic"),
            **maybe(mean=rng.random(channels).tolist(), std=(rng.random(channels) + 1e-9).tolist()),
        }
    return values


@pytest.mark.parametrize("seed", range(200))
def test_any_experiment_survives_the_round_trip(seed: int) -> None:
    experiment = parse_experiment(random_tables(np.random.default_rng(seed)))
    again = parse_experiment(tomllib.loads(to_toml(experiment)))
    assert again == experiment


OLD = r"""name = "old"
title = "quote \" and \\ back"
description = "grüß 😀 #=[]{}"

[classifier]
architecture = "two words"
random_weights = 3
num_classes = 2
class_names = ["tab\tand\nline", "\u007f\u0001"]

[preprocessing]
resize = 32
mean = [0.1, 0.2, 0.3333333333333333]
std = [1e-09, 0.25, 1.0]
interpolation = "bilinear"
mode = "RGB"

[id]
fit = { builtin = "digits:fit", limit = 7 }
test = { torchvision = "CIFAR10", label_map = { "a b" = 1, x = "y" }, split = "test" }

[[ood]]
name = "set 0"
torchvision = "SVHN"
split = "extra"
near = true

[[ood]]
name = "n"
builtin = "digits:noise"

[detectors.line]
clip = 0.1
p_a = 90
x = true

[detectors."odd name"]
many = [1, 2.5]
"""
"""As version 0.1 wrote it first, by hand."""


def test_older_files_load_and_are_written_anew_with_the_same_content() -> None:
    experiment = parse_experiment(tomllib.loads(OLD))
    assert experiment.classifier.class_names == ("tab\tand\nline", "\x7f\x01")
    assert experiment.preprocessing.mean == (0.1, 0.2, 1 / 3)
    assert experiment.sets["test"].options["label_map"] == {"a b": 1, "x": "y"}
    assert experiment.near == ("set 0",)
    assert parse_experiment(tomllib.loads(to_toml(experiment))) == experiment


def test_a_name_that_is_no_text_cannot_be_written(project: Path) -> None:
    experiment = dataclasses.replace(load_experiment("digits"), title="photo\udcff")
    with pytest.raises(ConfigError, match="half of a surrogate pair"):
        save_experiment(experiment, project / "a.toml")
    assert not list(project.glob("*.toml")), "nothing is left behind"


def test_files_survive_the_round_trip_and_the_data_can_move_along(project: Path) -> None:
    text = """
    [classifier]
    architecture = "resnet20"
    checkpoint = "net.pt"
    [id]
    fit = { folder = "fit", limit = 2 }
    test = { folder = "test" }
    [[ood]]
    name = "listed"
    image_list = "list.txt"
    root = "."
    """
    (project / "a.toml").write_text(text)
    experiment = load_experiment(project / "a.toml")
    saved = save_experiment(experiment, project / "b.toml")
    assert without_path(load_experiment(saved)) == without_path(experiment)
    assert str(project) not in saved.read_text()
    moved = project.with_name("moved")
    project.rename(moved)
    assert load_experiment(moved / "b.toml").sets["fit"].source == str(moved / "fit")


def test_a_file_far_from_its_data_names_it_in_full(project: Path, own_home: Path) -> None:
    text = '[classifier]\narchitecture = "a"\nrandom_weights = 0\n[id]\n'
    text += 'fit = { folder = "fit" }\ntest = { folder = "test" }\n'
    (project / "a.toml").write_text(text)
    experiment = load_experiment(project / "a.toml")
    saved = save_experiment(experiment)
    assert saved == own_home / "experiments" / "a.toml"
    assert load_experiment("a").sets == experiment.sets
    assert str(project / "fit") in saved.read_text()


def test_a_relative_path_that_would_find_another_place_is_not_written(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("OOD_LENS_DATA", str(project))
    text = '[classifier]\narchitecture = "a"\nrandom_weights = 0\n[id]\n'
    text += 'fit = { folder = "fit" }\ntest = { folder = "test" }\n'
    (project / "a.toml").write_text(text)
    experiment = load_experiment(project / "a.toml")
    decoy = tmp_path_factory.mktemp("decoy")
    assert 'folder = "fit"' in to_toml(experiment, decoy)
    (decoy / "fit").mkdir()
    assert f'folder = "{project / "fit"}"' in to_toml(experiment, decoy)


@pytest.mark.parametrize("name", sorted(p.stem for p in BUILTIN.glob("*.toml")))
def test_built_in_experiments_survive_it_too(name: str) -> None:
    experiment = load_experiment(name)
    again = parse_experiment(tomllib.loads(to_toml(experiment)), strict=False)
    assert again == without_path(experiment)


def test_saving_refuses_to_overwrite_to_shadow_and_to_invent_folders(
    project: Path, own_home: Path
) -> None:
    digits = load_experiment("digits")
    with pytest.raises(ConfigError, match="name = 'digits' is a built-in experiment's"):
        save_experiment(digits)
    path = save_experiment(digits, project / "a.toml")
    with pytest.raises(ConfigError, match=r"a\.toml' exists; choose another name, or replace"):
        save_experiment(digits, path)
    assert save_experiment(digits, path, overwrite=True) == path
    with pytest.raises(ConfigError, match=r"the folder '.*gone' does not exist"):
        save_experiment(digits, project / "gone" / "a.toml")
    assert not list(project.glob(".*.part"))

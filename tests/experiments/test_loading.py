"""Names, paths and the list: one broken file hides nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ood_core.errors import ConfigError
from ood_core.experiments import (
    BrokenExperiment,
    Experiment,
    list_experiments,
    load_experiment,
    save_experiment,
)

LINE = {
    "cifar10-densenet": {"p_w": 90, "p_a": 90, "clip": 1.0},
    "cifar100-densenet": {"p_w": 90, "p_a": 10, "clip": 1.0},
    "imagenet-resnet50": {"p_w": 10, "p_a": 10, "clip": 0.8},
}


def mine(home: Path, name: str, text: str | None = None) -> Path:
    path = home / "experiments" / f"{name}.toml"
    path.parent.mkdir(exist_ok=True)
    if text is None:
        save_experiment(load_experiment("digits"), path)
        path.write_text(path.read_text().replace('name = "digits"', f'name = "{name}"'))
    else:
        path.write_text(text)
    return path


def test_digits_comes_first_and_everything_built_in_loads() -> None:
    entries = list_experiments()
    assert entries[0].name == "digits"
    assert all(isinstance(e, Experiment) and e.title and e.description for e in entries)
    for entry in entries:
        assert load_experiment(entry.name).name == entry.name


@pytest.mark.parametrize("name", LINE)
def test_lines_parameters_are_those_of_its_scripts(name: str) -> None:
    assert load_experiment(name).detectors["line"] == LINE[name]


def test_ood_sets_are_those_of_the_papers() -> None:
    line_cifar = {"svhn", "lsun-crop", "lsun-resize", "isun", "textures", "places365"}
    assert set(load_experiment("cifar10-densenet").ood_sets) == line_cifar
    assert set(load_experiment("cifar100-densenet").ood_sets) == line_cifar
    nan_cifar = {"cifar100", "imagenet-fix", "lsun-fix", "places365", "svhn"}
    assert set(load_experiment("cifar10-resnet18").ood_sets) == nan_cifar
    for name in ("imagenet-resnet50", "imagenet-mobilenetv2"):
        assert load_experiment(name).ood_sets == ("inaturalist", "sun", "places", "textures")


def test_the_users_experiments_follow_by_file_name(own_home: Path) -> None:
    mine(own_home, "zebra")
    mine(own_home, "apple")
    assert [e.name for e in list_experiments()][-2:] == ["apple", "zebra"]
    assert load_experiment("zebra").name == "zebra"


def test_a_broken_file_is_listed_with_its_reason_and_hides_nothing(own_home: Path) -> None:
    mine(own_home, "good")
    mine(own_home, "bad", "name = ")
    mine(own_home, "binary").write_bytes(b"\xff\xff")
    (own_home / "experiments" / "folder.toml").mkdir()
    entries = {e.name: e for e in list_experiments()}
    assert isinstance(entries["good"], Experiment)
    for name, reason in (
        ("bad", "is not valid TOML"),
        ("binary", "is not UTF-8"),
        ("folder", "is a folder"),
    ):
        broken = entries[name]
        assert isinstance(broken, BrokenExperiment)
        assert reason in broken.message
    with pytest.raises(ConfigError, match=r"bad\.toml is not valid TOML"):
        load_experiment("bad")


def test_a_file_under_another_name_is_found_by_the_name_in_it(own_home: Path) -> None:
    mine(own_home, "inner").rename(own_home / "experiments" / "outer.toml")
    assert load_experiment("inner").name == "inner"
    assert load_experiment("outer").name == "inner"


def test_built_in_names_cannot_be_taken(own_home: Path) -> None:
    mine(own_home, "digits")
    assert load_experiment("digits").path != own_home / "experiments" / "digits.toml"
    assert "taken by another" in list_experiments()[-1].message  # type: ignore[union-attr]


def test_unknown_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown experiment 'digit'\. Did you mean 'digits'\?"):
        load_experiment("digit")
    with pytest.raises(ConfigError, match=r"experiment file '.*gone\.toml' does not exist"):
        load_experiment(tmp_path / "gone.toml")
    with pytest.raises(ConfigError, match=r"experiment file '.*' is a folder; name the \.toml"):
        load_experiment(str(tmp_path))
    with pytest.raises(ConfigError, match="unknown experiment ''"):
        load_experiment("")

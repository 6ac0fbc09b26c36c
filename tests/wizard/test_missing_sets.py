"""A ready experiment of which some OOD sets are not on disk works with the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import ood_core
from ood_core.commands import _main as cli
from ood_core.data import available, experiment_status
from ood_core.experiments import loading

ROOT = Path(__file__).parents[2]
TEXT = """
name = "ready"
[classifier]
architecture = "resnet20"
checkpoint = "net.pth"
num_classes = 3
[preprocessing]
resize = 32
center_crop = 32
[id]
fit = { folder = "photos/train" }
test = { folder = "photos/test" }
[[ood]]
name = "drawings"
folder = "drawings"
[[ood]]
name = "paintings"
folder = "paintings"
near = true
obtain = "Paint them."
"""


@pytest.fixture
def ready(
    folders: Path, checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Files of a built-in experiment, all but the images of one OOD set."""
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "ready.toml").write_text(TEXT)
    monkeypatch.setattr(loading, "_BUILTIN", shipped)
    checkpoint(name="mine/net.pth")
    monkeypatch.setenv("OOD_LENS_DATA", str(folders))
    st.cache_resource.clear()
    return folders


def test_only_ood_sets_are_left_out(ready: Path) -> None:
    exp = ood_core.load_experiment("ready")
    found = available(exp, experiment_status(exp))
    assert (found.ood_sets, found.near) == (("drawings",), ())
    assert set(found.sets) == {"fit", "test", "drawings"}
    (ready / "drawings").rename(ready / "elsewhere")
    assert available(exp, experiment_status(exp)) is exp, "nothing would be left"
    (ready / "elsewhere").rename(ready / "paintings")
    assert available(exp, experiment_status(exp)).near == ("paintings",)
    (ready / "net.pth").unlink()
    (ready / "photos" / "test").rename(ready / "gone")
    found = available(exp, experiment_status(exp))
    assert set(found.sets) == {"fit", "test", "paintings"}, "what it needs is never dropped"


def test_benchmark_runs_on_the_sets_that_are_named(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["benchmark", "ready", "--detectors", "nan", "--json"]
    assert cli.main(command) == 1
    said = capsys.readouterr().err
    assert "'paintings' is not on disk. Paint them. To go on without: --ood-sets drawings" in said
    assert cli.main([*command, "--ood-sets", "drawings"]) == 0
    assert '"ood_set": "drawings"' in capsys.readouterr().out


def test_no_choice_of_ood_sets_makes_up_for_a_missing_fit_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    (tmp_path / "one.toml").write_text(
        '[classifier]\narchitecture = "torchvision:resnet18"\nrandom_weights = 0\n'
        "num_classes = 0\n[preprocessing]\nresize = 32\ncenter_crop = 32\n"
        '[id]\nfit = { torchvision = "CIFAR10", split = "train" }\n'
        'test = { torchvision = "CIFAR10" }\nclasses = ["cat"]\n'
        '[[ood]]\nname = "noise"\nbuiltin = "digits:noise"\n'
    )
    assert cli.main(["benchmark", str(tmp_path / "one.toml"), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert "CIFAR10 is not on disk" in said
    assert "go on without" not in said


def test_pages_work_without_it_and_the_overview_says_how_to_get_it(ready: Path) -> None:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    shown = " ".join(c.value for c in at.caption)
    assert "Not on this machine, so left out: paintings." in shown
    assert "Paint them." in shown
    assert at.multiselect(key="ood_sets").options == ["drawings"]
    exp = ood_core.load_experiment("ready")
    ood_core.extract(available(exp, experiment_status(exp)))
    st.cache_resource.clear()
    at.run()
    assert not at.exception
    assert not at.error
    assert any("How well the scores tell ID from OOD" in h.proto.body for h in at.get("html"))
    at.switch_page("pages/1_Scores.py").run()
    assert not at.exception
    assert not at.error


def test_new_writes_what_is_to_be_downloaded_and_says_how(
    folders: Path, checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint(name="mine/best.pth")
    assert cli.main(["new", "mine", "--from", str(folders), "--ood", "torchvision:SVHN"]) == 0
    said = capsys.readouterr()
    assert "unknown Images of SVHN can be used" in said.out
    assert "mine.toml." in said.err
    assert "next: python -m ood_core download mine" in said.err
    assert ood_core.load_experiment("mine").ood_sets == ("SVHN",)


def test_sets_of_one_archive_are_one_download() -> None:
    from ood_core.wizard import missing

    found = missing(ood_core.load_experiment("cifar10-densenet"))
    titles = [m.title for m in found if m.download]
    assert titles.count("Images of fit and test") == 1
    assert not {"Images of fit", "Images of test"} & set(titles)

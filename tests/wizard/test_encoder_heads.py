"""Heads in files of their own on an encoder: linear probes and embeddings of texts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ood_core import wizard
from ood_core.commands import _main as cli
from ood_core.experiments import load_experiment, save_experiment
from ood_core.wizard import Draft, SetDraft
from tests.wizard.conftest import CLASSES


@pytest.fixture
def probe(tmp_path: Path) -> str:
    np.savez(tmp_path / "probe.npz", weight=np.eye(3, 64), bias=np.zeros(3))
    return str(tmp_path / "probe.npz")


@pytest.fixture
def text(tmp_path: Path) -> str:
    np.savez(tmp_path / "classes.npz", embeddings=np.eye(3, 64) + 0.1, names=np.array(CLASSES))
    return str(tmp_path / "classes.npz")


@pytest.fixture
def encoder(folders: Path) -> Draft:
    return Draft(
        name="mine", kind="encoder", architecture="resnet20", random_weights=0, num_classes=0,
        fit=SetDraft(str(folders / "photos/train")), test=SetDraft(str(folders / "photos/test")),
        ood=(SetDraft(str(folders / "drawings"), "drawings"),),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["head", "text"])
def test_an_encoder_with_a_head_has_classes(encoder: Draft, probe: str, text: str, kind) -> None:
    given = {"head": probe} if kind == "head" else {"text": text, "temperature": 0.5}
    draft = wizard.complete(wizard.with_head(encoder, **given))  # type: ignore[arg-type]
    assert not draft.headless
    lines = wizard.check_draft(draft)
    assert all(line.ok for line in lines), lines
    assert any("resnet20: 3 classes" in line.text for line in lines)
    assert any("0.5" in line.text for line in lines) is (kind == "text")
    assert {m.images for m in wizard.measure(draft, wizard.preprocessings(draft)[:1])} == {12}
    exp = wizard.new_experiment(draft)
    assert exp.classifier.encoder
    assert not exp.classifier.headless
    again = wizard.draft_of(load_experiment(save_experiment(exp)))
    assert (again.kind, again.num_classes) == ("encoder", 0)
    assert wizard.new_experiment(again) == exp


def test_classes_of_sets_are_checked_against_the_names_with_the_texts(
    encoder: Draft, tmp_path: Path
) -> None:
    np.savez(tmp_path / "t.npz", embeddings=np.eye(3, 64) + 0.1, names=np.array(["cat", "a", "b"]))
    draft = wizard.with_head(encoder, text=str(tmp_path / "t.npz"))
    (bad,) = [line for line in wizard.check_draft(draft) if line.part == "fit"]
    assert bad.ok is False
    assert "'dog' is not a class" in bad.text


def test_a_head_goes_with_the_ways_that_have_one(encoder: Draft, probe: str, text: str) -> None:
    both = wizard.with_head(encoder, text=text, temperature=0.1)
    for kind in ("hub", "encoder"):
        both = wizard.with_kind(both, kind)
        assert (both.text, both.temperature, both.num_classes) == (text, 0.1, 0)
    network = wizard.with_kind(both, "network")
    assert (network.text, network.temperature, network.num_classes) == ("", None, None)
    linear = wizard.with_head(encoder, probe)
    assert wizard.with_kind(linear, "features").head == probe
    assert wizard.with_kind(wizard.with_kind(linear, "features"), "encoder").head == probe
    assert not wizard.with_kind(wizard.with_kind(linear, "features"), "network").head


def test_a_folder_from_a_hub_without_another_head_has_its_own(encoder: Draft, text: str) -> None:
    hub = wizard.with_kind(wizard.with_head(encoder, text=text), "hub")
    assert wizard.with_head(hub).num_classes is None


def test_what_only_classes_have_goes_with_them(encoder: Draft) -> None:
    network = dataclasses.replace(
        encoder, kind="network", num_classes=3, class_names=CLASSES, expected_accuracy=0.9
    )
    bare = wizard.with_kind(network, "encoder")
    assert (bare.num_classes, bare.class_names, bare.expected_accuracy) == (0, (), None)


def new(encoder: Draft, *options: str) -> int:
    return cli.main([
        "new", "mine", "--architecture", "resnet20", "--random-weights", "0",
        "--fit", encoder.fit.source, "--test", encoder.test.source, "--check", "0", "--quiet",
        "--force", *options,
    ])  # fmt: skip


def test_new_takes_both(encoder: Draft, probe: str, text: str, capsys) -> None:
    assert new(encoder, "--text", text, "--temperature", "0.2", "--num-classes", "0") == 0
    spec = load_experiment("mine").classifier
    assert (str(spec.text), spec.temperature, spec.num_classes) == (text, 0.2, 0)
    assert new(encoder, "--head", probe) == 0
    spec = load_experiment("mine").classifier
    assert (str(spec.head), spec.text) == (probe, None)


@pytest.mark.parametrize(("options", "said"), [
    (("--temperature", "0.2"), "give text = … too"),
    (("--text", "TEXT", "--temperature", "-1"), "must be a number above 0"),
    (("--text", "TEXT", "--head", "PROBE"), "give head or text, not both"),
    (("--text", "TEXT", "--num-classes", "3"), "left out, or 0"),
    (("--text", "gone.npz"), "text = 'gone.npz' does not exist"),
])  # fmt: skip
def test_new_says_what_does_not_go_together(encoder, probe, text, capsys, options, said) -> None:
    given = [{"TEXT": text, "PROBE": probe}.get(o, o) for o in options]
    assert new(encoder, *given) != 0
    out, err = capsys.readouterr()
    assert said in out + err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("option", ["--text", "--temperature", "--num-classes", "--part"])
def test_features_take_no_options_of_a_network(tmp_path: Path, capsys, option: str) -> None:
    for name in ("fit", "test"):
        np.savez(tmp_path / f"{name}.npz", features=np.eye(6))
    given = [option, "3", "--fit", str(tmp_path / "fit.npz"), "--test", str(tmp_path / "test.npz")]
    assert cli.main(["new", "mine", *given]) == 2
    assert f"leave out {option}." in capsys.readouterr().err
    assert cli.main(["new", "mine", option, "3", "--from", str(tmp_path)]) == 2
    assert f"leave out {option}." in capsys.readouterr().err

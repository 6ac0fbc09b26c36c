"""A draft with a network of one's own: the check asks, agreeing lets it load."""

from __future__ import annotations

import dataclasses

import pytest

from ood_core import wizard
from ood_core.experiments.own_code import TRUST
from tests.models.test_own_networks import NET


@pytest.fixture
def draft(tmp_path, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "home"))
    path = tmp_path / "my_net.py"
    path.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{NET}")
    return wizard.Draft(
        name="mine", architecture=f"{path}:MyNet", random_weights=0, num_classes=4, trust=TRUST,
        arguments={"width": 6}, fit=wizard.SetDraft("digits:fit"),
        test=wizard.SetDraft("digits:test"),
    )  # fmt: skip


def _network(draft):
    return next(line for line in wizard.check_draft(draft) if line.part == "classifier")


def test_a_draft_asks_before_its_code_runs(draft, tmp_path) -> None:
    draft = dataclasses.replace(draft, preprocessing=wizard.preprocessings(draft)[0].preprocessing)
    line = _network(draft)
    assert line.ok is False
    assert "nobody has agreed" in line.text
    request = wizard.draft_code(draft)
    assert request is not None
    assert request.arguments == (("width", 6),)
    assert not (tmp_path / "ran").exists()
    wizard.trust_draft(draft, request.digest)
    assert wizard.draft_code(draft) is None
    assert "4 classes, 6 penultimate features" in _network(draft).text
    other = dataclasses.replace(draft, architecture="resnet20")
    assert wizard.draft_code(other) is None
    assert not wizard.new_experiment(other).classifier.arguments, "they belong to the code"


def test_a_draft_comes_back_from_its_experiment(draft) -> None:
    again = wizard.draft_of(wizard.new_experiment(draft))
    assert (again.architecture, again.arguments, again.trust) == (
        draft.architecture, draft.arguments, draft.trust,
    )  # fmt: skip


def test_without_the_sentence_the_check_says_it(draft) -> None:
    line = _network(dataclasses.replace(draft, trust=""))
    assert line.ok is False
    assert f'trust = "{TRUST}"' in line.text

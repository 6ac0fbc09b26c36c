"""Proposals, checks and the finished experiment."""

from __future__ import annotations

import dataclasses

import pytest

from ood_core import wizard
from ood_core.errors import ConfigError, DataError
from ood_core.experiments import load_experiment, save_experiment
from ood_core.wizard import Draft, SetDraft


@pytest.fixture
def draft(folders, checkpoint) -> Draft:
    return Draft(
        name="mine",
        checkpoint=str(checkpoint()),
        fit=SetDraft(str(folders / "photos/train")),
        test=SetDraft(str(folders / "photos/test")),
        ood=(SetDraft(str(folders / "drawings"), "drawings"),),
    )


def test_survey_finds_checkpoint_pair_and_other_sets(folders, checkpoint):
    checkpoint(name="mine/best.pth")
    found = wizard.survey(folders)
    assert [p.name for p in found.checkpoints] == ["best.pth"]
    assert [(f.source, t.source) for f, t in found.pairs] == [
        (str(folders / "photos/train"), str(folders / "photos/test"))
    ]
    assert [s.name for s in found.others] == ["drawings"]


def test_survey_of_nothing_says_so(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        wizard.survey(tmp_path / "none")
    with pytest.raises(DataError, match="holds neither images nor checkpoints"):
        wizard.survey(tmp_path)


def test_complete_finds_architecture_classes_and_preprocessing(draft):
    done = wizard.complete(draft)
    assert (done.architecture, done.num_classes) == ("resnet20", 3)
    assert done.preprocessing.center_crop == 32
    assert dataclasses.replace(
        done, architecture="", num_classes=None, preprocessing=None
    ) == draft  # fmt: skip


def test_all_checks_hold_and_the_file_gives_the_experiment_back(draft):
    done = wizard.complete(draft)
    lines = wizard.check_draft(done)
    assert all(line.ok for line in lines), lines
    assert {line.part for line in lines} == {
        "classifier", "preprocessing", "fit", "test", "drawings",
    }  # fmt: skip
    exp = wizard.new_experiment(done)
    path = save_experiment(exp)
    again = load_experiment(path)
    assert dataclasses.replace(again, path=None, title="") == dataclasses.replace(exp, title="")
    assert wizard.new_experiment(wizard.draft_of(again)) == exp


def test_unfinished_drafts_say_what_is_missing(draft):
    with pytest.raises(ConfigError, match="needs a name"):
        wizard.new_experiment(dataclasses.replace(draft, name=""))
    with pytest.raises(ConfigError, match="the fit images are missing"):
        wizard.new_experiment(dataclasses.replace(draft, fit=SetDraft()))
    lines = {line.part: line for line in wizard.check_draft(Draft())}
    assert lines["classifier"].text == "No classifier is chosen yet."
    assert lines["test"].ok is False


def test_measure_ranks_preprocessings_by_accuracy(draft):
    unnamed = dataclasses.replace(wizard.complete(draft), name="")
    ranked = wizard.measure(unnamed, images=6)
    assert [m.images for m in ranked] == [6] * len(ranked)
    assert [m.right for m in ranked] == sorted((m.right for m in ranked), reverse=True)
    flat = dataclasses.replace(draft, test=draft.ood[0])
    with pytest.raises(DataError, match="has no labels"):
        wizard.measure(wizard.complete(flat))


def test_sample_keeps_small_sets_whole_and_some_of_every_class(draft):
    exp = wizard.new_experiment(wizard.complete(draft))
    assert wizard.sample(exp, 50).sets == exp.sets
    small = wizard.sample(exp, 6).sets
    assert small["fit"].options["per_class"] == 2
    assert small["test"].options["limit"] == 6


def test_look_shows_images_as_stored_and_as_seen(draft):
    exp = wizard.new_experiment(wizard.complete(draft))
    seen = wizard.look(exp.sets["test"], exp.preprocessing, count=2, size=64)
    assert [(one.size, one.after.size) for one in seen] == [((40, 40), (64, 64))] * 2
    assert seen[0].label in ("cat", "dog", "horse")
    assert wizard.contact_sheet({"test": seen}, 64, 4).size == (4 + 2 * 68, 4 + 2 * 68)


def test_survey_of_openood_takes_the_lists_not_the_images_that_they_name(tmp_path):
    lists = tmp_path / "benchmark_imglist"
    for own in ("cifar10", "cifar100"):
        (lists / own).mkdir(parents=True)
        for name in (f"train_{own}", f"val_{own}", f"test_{own}", "test_tin", "test_svhn"):
            (lists / own / f"{name}.txt").write_text("a.png 0\n")
    (tmp_path / "images_classic" / "svhn" / "test").mkdir(parents=True)
    assert len(wizard.survey(tmp_path).pairs) == 2
    found = wizard.survey(lists / "cifar10")
    ((fit, test),) = found.pairs
    assert (fit.source, test.source) == tuple(
        str(lists / "cifar10" / f"{split}_cifar10.txt") for split in ("train", "test")
    )
    assert [(s.name, s.near) for s in found.others] == [("svhn", False), ("tin", True)]

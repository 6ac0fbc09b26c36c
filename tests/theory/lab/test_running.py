"""Running the lab: kept run by run, stopped, continued, damaged."""

from __future__ import annotations

import json
import threading

import pytest
from filelock import FileLock

from ood_core.errors import StoppedError
from ood_core.runtime.progress import Progress
from ood_core.theory.lab import Run, finished, load_results, results, run_lab, running
from ood_core.theory.lab.observing import Observation
from ood_core.theory.lab.results import lab_dir, run_file, save_run

RUNS = (Run("supervised", 0), Run("one_label", 0), Run("instance", 1))


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    """A home of its own, and networks that train in no time; the runs trained, in order."""
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    trained: list[Run] = []

    def train(run, images, after_epoch):
        for epoch in range(1, running.EPOCHS + 1):
            after_epoch(epoch)
        trained.append(run)
        seen = Observation(run)
        seen.training.append({"epoch": 40, "loss": 0.1, "accuracy": 0.5 + run.seed / 10})
        return seen

    monkeypatch.setattr("ood_core.theory.lab.training.train_run", train)
    return trained


def test_runs_are_trained_once(lab):
    first = run_lab(RUNS)
    assert lab == list(RUNS)
    assert first.complete
    assert first.training["scheme"].tolist() == ["supervised", "one_label", "instance"]
    again = run_lab(RUNS)
    assert lab == list(RUNS)
    assert again.training.equals(first.training)


def test_a_stopped_lab_goes_on_where_it_was(lab):
    with pytest.raises(StoppedError):
        run_lab(RUNS, should_stop=lambda: len(lab) == 1)
    assert finished(RUNS) == RUNS[:1]
    partial = load_results(RUNS)
    assert not partial.complete
    assert len(partial.training) == 1
    run_lab(RUNS)
    assert lab == list(RUNS)


def test_progress_counts_epochs_and_names_the_scheme():
    seen: list[Progress] = []
    run_lab(RUNS, progress=seen.append)
    assert seen[-1].done == seen[-1].total == 40 * 3
    assert "instance" in seen[-1].stage


def test_a_damaged_file_is_trained_again(lab):
    run_lab(RUNS)
    run_file(RUNS[1]).write_text("{", encoding="utf-8")
    assert len(load_results(RUNS).runs) == 2
    assert not run_file(RUNS[1]).exists()
    run_lab(RUNS)
    assert lab == [*RUNS, RUNS[1]]


def test_nothing_half_written_stays(monkeypatch):
    def broken(*_args, **_options):
        raise OSError("disk full")

    monkeypatch.setattr(json, "dump", broken)
    with pytest.raises(OSError, match="disk full"):
        save_run(Observation(RUNS[0]))
    assert list(lab_dir().iterdir()) == []


def test_another_recipe_has_another_folder(monkeypatch):
    before = lab_dir()
    monkeypatch.setattr(results.plan, "EPOCHS", 41)
    results.recipe.cache_clear()
    assert lab_dir() != before
    results.recipe.cache_clear()


def test_a_second_process_waits_and_can_be_stopped(lab):
    stop = threading.Event()
    with FileLock(lab_dir() / "lock"):
        waiting = threading.Timer(0.2, stop.set)
        waiting.start()
        with pytest.raises(StoppedError):
            run_lab(RUNS, should_stop=stop.is_set)
    assert not lab


def test_no_runs_give_empty_tables():
    empty = load_results(RUNS)
    assert empty.runs == ()
    for table in ("training", "separation", "sets", "hidden"):
        assert empty.schemes(table).empty

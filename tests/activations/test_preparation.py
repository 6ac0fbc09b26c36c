from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ood_core.activations import preparation, prepared
from ood_core.activations.engine import Runner
from ood_core.experiments import DataSpec, Experiment


@pytest.fixture(autouse=True)
def _idle() -> Iterator[None]:
    yield
    for job in preparation.LANE.jobs():
        job.stop()
        job.wait(30)
        preparation.LANE.forget(job)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Holds every forward pass until it is set."""
    event = threading.Event()
    original = Runner._run

    def waiting(self: Runner, images: torch.Tensor) -> object:
        event.wait(30)
        return original(self, images)

    monkeypatch.setattr(Runner, "_run", waiting)
    return event


def test_a_job_prepares_and_reports(tiny: Experiment) -> None:
    assert preparation.find(tiny) is None
    job = preparation.prepare(tiny)
    assert job.wait(60)
    assert (job.state, job.error) == ("done", None)
    assert job.progress is not None
    assert job.progress.done == job.progress.total == 35
    assert job.result is not None
    assert prepared(tiny).fingerprint == job.result.fingerprint
    assert preparation.find(tiny) is job


def test_the_same_request_twice_is_the_same_job(tiny: Experiment, gate: threading.Event) -> None:
    first = preparation.prepare(tiny)
    assert preparation.prepare(dataclasses.replace(tiny)) is first
    assert preparation.prepare(tiny, layers=["penultimate"]) is not first
    gate.set()
    assert first.wait(60)
    assert first.state == "done"


def test_one_runs_the_others_wait_and_can_be_stopped(
    tiny: Experiment, gate: threading.Event
) -> None:
    running = preparation.prepare(tiny)
    waiting = preparation.prepare(tiny, sets=["fit"])
    assert waiting.state == "queued"
    assert waiting.progress is None
    waiting.stop()
    assert waiting.state == "stopped"
    running.stop()
    gate.set()
    assert running.wait(60)
    assert running.state == "stopped"
    again = preparation.prepare(tiny)
    assert again is not running
    assert again.wait(60)
    assert again.state == "done"


def test_an_error_is_a_plain_message_and_the_worker_lives_on(
    tiny: Experiment, tmp_path: Path
) -> None:
    missing = DataSpec("noise", "folder", str(tmp_path / "nowhere"))
    bad = dataclasses.replace(tiny, sets={**tiny.sets, "noise": missing})
    job = preparation.prepare(bad)
    assert job.wait(60)
    assert job.state == "failed"
    assert "nowhere" in (job.error or "")
    assert "Traceback" not in (job.error or "")
    good = preparation.prepare(tiny)
    assert good.wait(60)
    assert good.state == "done"


def test_an_unforeseen_error_does_not_kill_the_worker(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(Runner, "_run", broken)
    job = preparation.prepare(tiny)
    assert job.wait(60)
    assert (job.state, job.error) == ("failed", "ZeroDivisionError: division by zero")
    monkeypatch.undo()


def test_a_done_job_whose_files_changed_is_forgotten(tiny: Experiment) -> None:
    job = preparation.prepare(tiny)
    assert job.wait(60)
    next(Path(tiny.sets["test"].source).rglob("*.png")).unlink()
    assert preparation.find(tiny) is None

"""Run the lab: what is not on disk yet, with progress, stoppable, continued where it was."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from filelock import FileLock, Timeout

from ood_core.runtime.progress import Meter, ProgressCallback, StopCheck
from ood_core.theory.lab.plan import EPOCHS, SCHEMES, Run, full_plan
from ood_core.theory.lab.results import LabResults, finished, lab_dir, load_results, save_run
from ood_core.theory.lab.vectors import lab_images

__all__ = ["run_lab"]


def run_lab(
    runs: Sequence[Run] | None = None,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> LabResults:
    """Train the runs that are missing and return the results of all of them.

    Two processes that ask at once train once: the second waits for the first. A stopped run is
    trained again from its beginning, which takes a few seconds; finished runs are kept.

    Parameters
    ----------
    runs : what to train; the full plan for None.
    progress, should_stop : counted in epochs.

    Raises
    ------
    StoppedError
        When `should_stop` says so.
    """
    wanted = full_plan() if runs is None else tuple(runs)
    meter = Meter("Training lab", EPOCHS * len(wanted), progress, should_stop)
    lock = FileLock(lab_dir() / "lock")
    while True:
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            meter.check()
    try:
        _train_missing(wanted, meter)
    finally:
        lock.release()
    return load_results(wanted)


def _train_missing(wanted: tuple[Run, ...], meter: Meter) -> None:
    there = set(finished(wanted))
    meter.skip(EPOCHS * len(there))
    if len(there) == len(wanted):
        return
    from ood_core.theory.lab.training import train_run

    images = lab_images()
    for run in wanted:
        if run not in there:
            stage = f"Training lab: {SCHEMES[run.scheme].title.lower()}"
            save_run(train_run(run, images, partial(_advance, meter, stage)))


def _advance(meter: Meter, stage: str, _epoch: int) -> None:
    meter.advance(1, stage)

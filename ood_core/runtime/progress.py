"""Progress of long work: what front ends show, and where a stop is honoured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from ood_core.errors import StoppedError

__all__ = ["Meter", "Progress", "ProgressCallback", "StopCheck"]


@dataclass(frozen=True)
class Progress:
    """Where long work stands.

    Parameters
    ----------
    stage : what is being done, as a front end prints it.
    done, total : items finished and to finish in this stage (images, epochs, bytes).
    rate : items per second since the stage began; 0 until known.
    eta : seconds to the end of the stage; NaN until known.
    """

    stage: str
    done: int
    total: int
    rate: float = 0.0
    eta: float = math.nan

    @property
    def fraction(self) -> float:
        """Share done, within 0 and 1."""
        return min(1.0, self.done / self.total) if self.total else 1.0


ProgressCallback = Callable[[Progress], None]
StopCheck = Callable[[], bool]


class Meter:
    """Counts items of one stage, reports at most every `interval` seconds, honours a stop.

    `advance` reports and raises StoppedError when `should_stop()` says so. Items that were
    already there when the stage began (`skip`) do not count for the rate.

    Examples
    --------
    >>> seen = []
    >>> meter = Meter("images", 3, seen.append)
    >>> for _ in range(3):
    ...     meter.advance(1)
    >>> seen[-1].stage, seen[-1].done, seen[-1].fraction
    ('images', 3, 1.0)
    """

    def __init__(
        self,
        stage: str,
        total: int,
        progress: ProgressCallback | None = None,
        should_stop: StopCheck | None = None,
        interval: float = 0.2,
    ) -> None:
        self.stage = stage
        self.total = total
        self.done = 0
        self._progress = progress
        self._should_stop = should_stop
        self._interval = interval
        self._worked = 0
        self._began = time.monotonic()
        self._reported = -math.inf

    def skip(self, items: int) -> None:
        """Count items that need no work."""
        self.done += items
        self.check()

    def advance(self, items: int, stage: str | None = None) -> None:
        """Count items just finished; `stage` renames what is shown."""
        self.done += items
        self._worked += items
        self.stage = stage or self.stage
        self.check()

    def check(self, force: bool = False) -> None:
        """Report when it is time, and raise StoppedError when asked to stop."""
        now = time.monotonic()
        finished = self.done >= self.total
        if self._progress and (force or finished or now - self._reported >= self._interval):
            self._reported = now
            self._progress(self.snapshot(now))
        if self._should_stop is not None and self._should_stop():
            raise StoppedError(f"stopped at {self.done} of {self.total}: {self.stage}")

    def snapshot(self, now: float | None = None) -> Progress:
        """Progress as of now."""
        seconds = (time.monotonic() if now is None else now) - self._began
        rate = self._worked / seconds if self._worked and seconds > 0 else 0.0
        eta = max(0, self.total - self.done) / rate if rate else math.nan
        return Progress(self.stage, self.done, self.total, rate, eta)

from __future__ import annotations

import math
import time

import pytest

from ood_core.errors import StoppedError
from ood_core.runtime.progress import Meter, Progress


def test_rate_and_estimate_leave_out_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    seen: list[Progress] = []
    meter = Meter("reading", 100, seen.append)
    meter.skip(40)
    assert (seen[-1].done, seen[-1].rate) == (40, 0.0)
    assert math.isnan(seen[-1].eta)
    now[0] += 2.0
    meter.advance(20)
    assert seen[-1] == Progress("reading", 60, 100, 10.0, 4.0)
    assert seen[-1].fraction == 0.6


def test_reports_are_spaced_and_the_last_always_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    seen: list[Progress] = []
    meter = Meter("x", 10, seen.append, interval=1.0)
    for _ in range(10):
        now[0] += 0.3
        meter.advance(1)
    assert [p.done for p in seen] == [1, 5, 9, 10]


def test_stop_is_honoured() -> None:
    meter = Meter("x", 10, should_stop=lambda: True)
    with pytest.raises(StoppedError, match="stopped at 1 of 10: x"):
        meter.advance(1)


def test_nothing_to_do_is_done() -> None:
    assert Progress("x", 0, 0).fraction == 1.0

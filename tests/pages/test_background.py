"""Work in the background of a page: waited for, stopped, its result and its errors drawn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ood_core.errors import DataError, StoppedError
from ood_core.runtime.progress import Progress
from pages.components.kit import jobs

HELD: dict[str, Any] = {}


def work(progress, should_stop):
    """What the page below asks for; the test sets what becomes of it."""
    gate = HELD["gate"]
    progress(Progress("halfway", 1, 2, 5.0, 60.0))
    HELD["entered"].set()
    while not gate.wait(0.005):
        if should_stop():
            raise StoppedError("stopped")
    if "error" in HELD:
        raise HELD["error"]
    return "the result"


def _page(work) -> None:
    import streamlit as st

    from pages.components.kit import jobs

    st.write(f"found: {jobs.result(('test', 'background'), work, 'One moment …')}")


@pytest.fixture
def page() -> Iterator[AppTest]:
    HELD.clear()
    HELD.update(gate=threading.Event(), entered=threading.Event())
    yield AppTest.from_function(_page, default_timeout=30, kwargs={"work": work})
    for job in jobs.LANE.jobs():
        job.stop()
        assert job.wait(10)
        jobs.LANE.forget(job)


def ended() -> None:
    assert jobs.LANE.find(("test", "background")).wait(10)


def test_a_result_is_waited_for_and_kept(page):
    page.run()
    assert HELD["entered"].wait(10)
    page.run()
    assert page.markdown[0].value == "found: None"
    assert page.button(key="background_stop").label == "Stop"
    HELD["gate"].set()
    ended()
    assert page.run().markdown[0].value == "found: the result"
    HELD.clear()  # asked again it would fail
    assert page.run().markdown[0].value == "found: the result"


def test_stop_says_so_and_the_next_run_starts_anew(page):
    page.run()
    assert HELD["entered"].wait(10)
    page.run()
    page.button(key="background_stop").click()
    jobs.LANE.find(("test", "background")).stop()  # the click itself waits for the next run
    ended()
    page.run()
    assert [info.value for info in page.info] == ["Stopped."]
    HELD["gate"].set()
    page.run()
    ended()
    assert page.run().markdown[0].value == "found: the result"


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (DataError("no such set."), "info", "no such set."),
        (KeyError("x"), "error", "KeyError: 'x'"),
    ],
)
def test_errors_are_messages(page, error, kind, message):
    HELD["error"] = error
    HELD["gate"].set()
    page.run()
    ended()
    page.run()
    assert [drawn.value for drawn in getattr(page, kind)] == [message]
    assert not page.exception

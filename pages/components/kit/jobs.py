"""Work too slow for a page run: one at a time, its result kept, the page told when."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, TypeVar, cast

import streamlit as st

from ood_core.runtime.jobs import Job, Lane
from pages.components.kit.plain import plain
from pages.components.kit.prepare import progress_text

if TYPE_CHECKING:
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = ["LANE", "result"]

T = TypeVar("T")
LANE = Lane("ood-lens-background")
"""Maps, sweeps, checks and exported files take all cores: one at a time."""


def result(
    key: Hashable, make: Callable[[ProgressCallback, StopCheck], T], waiting: str
) -> T | None:
    """`make(progress, should_stop)` run once in the background; None while it runs.

    Meanwhile the page shows `waiting`, how far it is with a rate and an estimate, and a stop
    button; it reruns by itself when the result is there. An error is drawn as a message.
    """
    job = LANE.once(key, make)
    if job.active:
        _watch(job, waiting)
        return None
    if job.state == "stopped":
        LANE.forget(job)
        st.info("Stopped.", icon=":material/stop_circle:")
    elif job.unforeseen:
        st.error(plain(job.error), icon=":material/error:")
    elif job.error:
        st.info(plain(job.error), icon=":material/info:")
    return cast("T | None", job.result)


@st.fragment(run_every=0.5)
def _watch(job: Job, waiting: str) -> None:
    if not job.active:
        st.rerun()
    share = job.progress.fraction if job.progress else 0.0
    text = progress_text(job.progress) if job.progress else waiting
    st.progress(share, text=text)
    if job.progress:
        st.button("Stop", key="background_stop", icon=":material/stop:", on_click=job.stop)

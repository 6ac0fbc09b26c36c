"""Work too slow for a page run: one thread per process, its result kept, the page told when."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from ood_core.errors import OODLensError, StoppedError
from pages.components.kit.prepare import progress_text

__all__ = ["result"]


@dataclass
class _Work:
    """One piece of work: its future, how far it is, and whether a visitor stopped it."""

    progress: Any = None
    stopped: bool = False
    future: Future | None = field(default=None, repr=False)

    def report(self, progress: Any) -> None:
        self.progress = progress

    def should_stop(self) -> bool:
        return self.stopped

    def stop(self) -> None:
        self.stopped = True


@st.cache_resource(show_spinner=False)
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="ood-lens-background")


@st.cache_resource(max_entries=32, show_spinner=False)
def _work(key: Hashable, _make: Callable[..., Any]) -> _Work:
    work = _Work()
    work.future = _worker().submit(_make, work.report, work.should_stop)
    return work


def result(key: Hashable, make: Callable[..., Any], waiting: str) -> Any | None:
    """`make(progress, should_stop)` run once in the background; None while it runs.

    Meanwhile the page shows `waiting`, how far it is with a rate and an estimate, and a stop
    button; it reruns by itself when the result is there. An `OODLensError` is drawn as a message.
    """
    work = _work(key, make)
    assert work.future is not None
    if not work.future.done():
        _watch(work, waiting)
        return None
    try:
        return work.future.result()
    except StoppedError:
        _work.clear(key, make)
        st.info("Stopped.", icon=":material/stop_circle:")
    except OODLensError as error:
        st.info(str(error), icon=":material/info:")
    return None


@st.fragment(run_every=0.5)
def _watch(work: _Work, waiting: str) -> None:
    if work.future is not None and work.future.done():
        st.rerun()
    share = work.progress.fraction if work.progress else 0.0
    text = progress_text(work.progress) if work.progress else waiting
    st.progress(share, text=text)
    if work.progress:
        st.button("Stop", key="background_stop", icon=":material/stop:", on_click=work.stop)

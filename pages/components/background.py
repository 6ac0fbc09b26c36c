"""Work too slow for a page run: one thread per process, its result kept, the page told when."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import streamlit as st

from ood_core.errors import OODLensError

__all__ = ["result"]


@st.cache_resource(show_spinner=False)
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="ood-lens-background")


@st.cache_resource(max_entries=32, show_spinner=False)
def _future(key: Hashable, _make: Callable[[], Any]) -> Future:
    return _worker().submit(_make)


def result(key: Hashable, make: Callable[[], Any], waiting: str) -> Any | None:
    """`make()` computed once in the background; None while it runs, with a line that says so.

    The page reruns by itself when the result is there. An `OODLensError` is drawn as a message.
    """
    future = _future(key, make)
    if not future.done():
        _watch(future, waiting)
        return None
    try:
        return future.result()
    except OODLensError as error:
        st.info(str(error), icon=":material/info:")
        return None


@st.fragment(run_every=0.7)
def _watch(future: Future, waiting: str) -> None:
    if future.done():
        st.rerun()
    st.info(waiting, icon=":material/hourglass_top:")

"""What an experiment still needs: download it here, or where to fetch it by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ood_core import wizard
from pages.components.kit import cache
from pages.components.kit.plain import plain

if TYPE_CHECKING:
    from ood_core.experiments import Experiment

__all__ = ["panel"]


def panel(experiment: Experiment) -> bool:
    """Draw what is missing and how to get it; False when nothing is."""
    lacking = _lacking(repr(experiment), experiment)
    if not lacking:
        return False
    with st.container(border=True, key="missing"):
        st.markdown(f"**{plain(experiment.title)}** needs files that are not on this machine.")
        st.caption("Nothing is downloaded unasked.")
        for number, item in enumerate(lacking):
            _item(experiment, item, number)
        st.button("Look again", key="missing_again", icon=":material/refresh:", on_click=_again,
                  help="After you put files in place.")  # fmt: skip
    return True


def _item(experiment: Experiment, item: wizard.Missing, number: int) -> None:
    fetch = wizard.find_fetch(experiment, item.name)
    text, action = st.columns([5, 3], vertical_alignment="center")
    with text:
        st.markdown(f"**{plain(item.title)}**")
        st.caption(plain(item.message))
    if not item.download:
        action.caption("By hand")
        return
    if fetch is not None and fetch.active:
        with text:
            _watch(experiment, item.name, number)
        return
    if fetch is not None and fetch.error:
        text.error(plain(fetch.error), icon=":material/error:")
    elif fetch is not None and fetch.state == "stopped":
        text.info("Stopped. What arrived is kept; downloading goes on from there.")
    size = f" ({item.megabytes:,} MB)" if item.megabytes else ""
    action.button(f"Download{size}", key=f"download_{number}", icon=":material/download:",
                  on_click=_fetch, args=(experiment, item.name))  # fmt: skip


@st.fragment(run_every=0.5)
def _watch(experiment: Experiment, name: str, number: int) -> None:
    fetch = wizard.find_fetch(experiment, name)
    if fetch is None or not fetch.active:
        _again()
        st.rerun()
    progress = fetch.progress
    waiting = "Waiting for its turn …" if fetch.state == "queued" else "Connecting …"
    text = waiting if progress is None else (
        f"{progress.done / 1e6:,.0f} of {progress.total / 1e6:,.0f} MB · "
        f"{progress.rate / 1e6:,.1f} MB per second"
    )  # fmt: skip
    st.progress(progress.fraction if progress else 0.0, text=text)
    st.button("Stop", key=f"download_stop_{number}", icon=":material/stop:", on_click=fetch.stop)


@st.cache_resource(max_entries=16, ttl=30, show_spinner=False)
def _lacking(key: str, _experiment: Experiment) -> tuple[wizard.Missing, ...]:
    return tuple(wizard.missing(_experiment))


def _fetch(experiment: Experiment, name: str) -> None:
    wizard.fetch(experiment, name)


def _again() -> None:
    _lacking.clear()
    cache.refresh()

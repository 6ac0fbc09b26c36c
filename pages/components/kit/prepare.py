"""Prepare an experiment: one background job per process, watched by a fragment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ood_core.activations import preparation
from ood_core.errors import OODLensError
from pages.components.kit import cache, consent, missing
from pages.components.kit.plain import plain

if TYPE_CHECKING:
    from ood_core.experiments import Experiment
    from ood_core.runtime.jobs import Job
    from ood_core.runtime.progress import Progress

__all__ = ["is_embedded", "panel"]


def is_embedded(experiment: Experiment) -> bool:
    """Whether everything ships with the program, so that preparing downloads nothing."""
    kinds = {spec.kind for spec in experiment.sets.values()}
    own = ("shipped", "trained-here")
    return kinds == {"builtin"} and experiment.classifier.weights in own


def panel(experiment: Experiment) -> None:
    """Say what preparing means, offer it or show how far it is, and reload when it is done.

    The embedded experiment starts by itself: the first visit needs no click.
    """
    job = preparation.find(experiment)
    if job is None and is_embedded(experiment):
        job = _start(experiment)
    if job is not None and job.active:
        _watch(experiment)
    elif job is not None and job.state == "done":
        cache.refresh()
        st.rerun()
    elif not (missing.panel(experiment) or consent.panel(experiment)):
        _offer(experiment, job)


def _offer(experiment: Experiment, job: Job | None) -> None:
    if job is not None and job.error:
        st.error(plain(job.error), icon=":material/error:")
    elif job is not None and job.state == "stopped":
        st.info("Stopped. What was finished is kept; preparing goes on from there.")
    with st.container(border=True):
        st.markdown(f"**{plain(experiment.title)}** is not prepared yet.")
        st.write(
            "Preparing runs each image through the classifier once and keeps what the scores "
            "need. After that every detector, layer and threshold answers at once. You can leave "
            "this page meanwhile; nobody else waits for it."
        )
        sets = f"{len(experiment.ood_sets)} OOD set{'s' * (len(experiment.ood_sets) != 1)}"
        listed = f": {plain(', '.join(experiment.ood_sets))}" if experiment.ood_sets else ""
        st.caption(f"Fit set, ID test set and {sets}{listed}.")
        st.button(
            "Prepare" if job is None else "Prepare again",
            key="prepare",
            type="primary",
            icon=":material/play_arrow:",
            on_click=_start_again,
            args=(experiment,),
        )


def _start(experiment: Experiment) -> Job | None:
    try:
        return preparation.prepare(experiment)
    except OODLensError as error:
        st.error(plain(error, keep="\n"), icon=":material/error:")
        return None


def _start_again(experiment: Experiment) -> None:
    _start(experiment)


@st.fragment(run_every=0.5)
def _watch(experiment: Experiment) -> None:
    job = preparation.find(experiment)
    if job is None or not job.active:
        cache.refresh()
        st.rerun()
    with st.container(border=True):
        st.markdown(f"**Preparing {plain(experiment.title)}**")
        progress = job.progress
        st.progress(progress.fraction if progress else 0.0, text=progress_text(progress, job.state))
        st.caption(
            "Each image passes through the classifier once, then never again."
            + (" Nothing is downloaded." if is_embedded(experiment) else "")
        )
        st.button("Stop", key="prepare_stop", icon=":material/stop:", on_click=job.stop)


def progress_text(progress: Progress | None, state: str = "running") -> str:
    """One line: what is done, how much of it, how fast, how long still."""
    if progress is None:
        return "Waiting for its turn …" if state == "queued" else "Starting …"
    parts = [progress.stage]
    if progress.total:
        parts.append(f"{progress.done:,} of {progress.total:,}")
    if progress.rate:
        parts.append(f"{progress.rate:,.0f} per second")
    if progress.eta == progress.eta and progress.eta not in (0, float("inf")):
        parts.append(f"about {duration(progress.eta)} left")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """`43 s`, `3 min`, `2 h 5 min`."""
    seconds = round(seconds)
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

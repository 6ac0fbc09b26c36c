"""The checks as green and red lines, each with its remedy and its one-click fix."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from ood_core import wizard
from ood_core.activations import preparation
from ood_core.errors import OODLensError, StoppedError
from ood_core.experiments import Experiment
from ood_core.experiments.own_code import is_own_code
from pages.components.charts.checklist import lines_html
from pages.components.kit import cache, consent, jobs, prepare
from pages.components.kit.plain import plain
from pages.components.wizard import drafting

if TYPE_CHECKING:
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = ["draw"]

_NEEDED = ("classifier", "preprocessing", "fit", "test")
"""Parts without which no image can be passed through the network."""
_AGAIN, _SAMPLED, _LINES = "_new_again", "_new_sampled", "_new_lines"


def draw() -> tuple[wizard.Check, ...]:
    """Check the draft and say how it stands; returns the lines, none while it is checked."""
    with st.container(horizontal=True, vertical_alignment="center"):
        drafting.heading("Checks")
        st.space("stretch")
        st.button("Check again", key="new_again", type="tertiary", icon=":material/refresh:",
                  on_click=_again, help="After you changed files on disk.")  # fmt: skip
    draft = _nameless(drafting.current())
    again = (st.session_state.get(_AGAIN, 0), _waits(draft))
    lines: tuple[wizard.Check, ...]
    known, lines = st.session_state.get(_LINES, (None, ()))
    if known != (draft, again):
        result = jobs.result(
            ("wizard", repr(draft), again),
            lambda progress, should_stop: _checked(draft, progress, should_stop),
            "Reading weights and folders …",
        )
        if result is None:
            return ()
        completed, lines = result
        st.session_state[_LINES] = (completed, again), lines
        if completed != draft:
            drafting.adopt(draft, completed)
            st.rerun()
    _show(lines, draft)
    if not any(line.ok is False or (line.fetch and line.part in _NEEDED) for line in lines):
        _gates()
    return lines


def _waits(draft: wizard.Draft) -> bool:
    """Whether the draft's own code waits for consent, which is asked for here."""
    if not is_own_code(draft.architecture):
        return False
    try:
        exp = wizard.only_classifier(draft)
    except OODLensError:
        return False  # the classifier's line says it
    return consent.panel(dataclasses.replace(exp, title="The draft"))


def _checked(
    draft: wizard.Draft, progress: ProgressCallback, should_stop: StopCheck
) -> tuple[wizard.Draft, tuple[wizard.Check, ...]]:
    """The draft with what can be found out, and its checks."""
    try:
        draft = wizard.complete(draft, progress, should_stop)
    except StoppedError:
        raise
    except OODLensError:
        pass  # the classifier's line says it
    return draft, wizard.check_draft(draft)


def _again() -> None:
    st.session_state[_AGAIN] = st.session_state.get(_AGAIN, 0) + 1


def _show(lines: Sequence[wizard.Check], draft: wizard.Draft) -> None:
    for number, line in enumerate(lines):
        # Nothing is wrong before something was entered: what lacks is grey until then.
        st.html(lines_html([line if line.given else dataclasses.replace(line, ok=None)]))
        for place, fix in enumerate(line.fixes):
            st.button(plain(fix.label), key=f"new_fix_{number}_{place}", icon=":material/build:",
                      on_click=drafting.adopt, args=(draft, fix.draft))  # fmt: skip


def _gates() -> None:
    """The sanity gates on a sample of each set."""
    draft = dataclasses.replace(_nameless(drafting.current()), name="draft")
    try:
        exp = wizard.new_experiment(draft)
        part = cache.once(("sample", repr(exp)), lambda: wizard.sample(exp))
    except OODLensError as error:
        st.error(plain(error, keep="\n"), icon=":material/error:")
        return
    st.html("<h3 class='section'>Sanity gates</h3>")
    job = preparation.find(part)
    if job is not None and job.active:
        _watch(part)
        return
    acts = cache.prepared(part) if st.session_state.get(_SAMPLED) else None
    if acts is not None:
        key = ("gate checks", acts.fingerprint)  # the overview keeps "gates", which are no checks
        st.html(lines_html(cache.once(key, lambda: wizard.gate_checks(acts))))
        return
    if job is not None and job.error:
        st.error(plain(job.error), icon=":material/error:")
    st.button(
        "Run the gates", key="new_gates", icon=":material/fact_check:", on_click=_run,
        args=(part,),
        help=f"Runs at most {wizard.QUICK} images of each set through the network and checks "
        "head, accuracy, classes, zeros and negatives, shift, and images in two sets.",
    )  # fmt: skip


def _nameless(draft: wizard.Draft) -> wizard.Draft:
    """The draft without what the checks do not depend on: a name is judged where it is saved."""
    return dataclasses.replace(draft, name="", title="", description="")


def _run(part: Experiment) -> None:
    st.session_state[_SAMPLED] = True
    preparation.prepare(part)


@st.fragment(run_every=0.5)
def _watch(part: Experiment) -> None:
    job = preparation.find(part)
    if job is None or not job.active:
        cache.refresh()
        st.rerun()
    progress = job.progress
    st.progress(
        progress.fraction if progress else 0.0, text=prepare.progress_text(progress, job.state)
    )
    st.button("Stop", key="new_gates_stop", icon=":material/stop:", on_click=job.stop)

"""Name, save, share."""

from __future__ import annotations

import streamlit as st

from ood_core import wizard
from ood_core.errors import OODLensError
from ood_core.experiments import Experiment, save_experiment, to_toml
from ood_core.runtime.paths import experiments_dir
from pages.components.kit import cache, state
from pages.components.kit.plain import plain
from pages.components.wizard import drafting

__all__ = ["draw"]


def draw(lines: tuple[wizard.Check, ...]) -> None:
    """Save as an experiment file, or take the file along."""
    drafting.heading("Save")
    with st.container(horizontal=True):
        drafting.text("Name of the experiment", "name", placeholder="my-network")
        drafting.text("Title of the experiment", "title", placeholder="My network on my photos")
    draft = drafting.current()
    bad = [line for line in lines if line.ok is False]
    try:
        exp = wizard.new_experiment(draft)
    except OODLensError as error:
        exp, problem = None, str(error)
    exists = exp is not None and (experiments_dir() / f"{exp.name}.toml").exists()
    label = f"Replace my experiment {draft.name}"
    replace = exists and st.checkbox(label, key="new_replace", value=False)
    with st.container(horizontal=True):
        st.button(
            "Save experiment", key="new_save", type="primary", icon=":material/save:",
            disabled=exp is None or not lines or bool(bad) or (exists and not replace),
            on_click=_save, args=(exp, replace),
        )  # fmt: skip
        if exp is not None:
            st.download_button("Download", to_toml(exp), f"{exp.name}.toml", key="new_download",
                               icon=":material/download:")  # fmt: skip
    if exp is None:
        st.caption(problem[0].upper() + problem[1:])
    elif bad:
        st.caption("It can be saved once every check holds.")
    elif exists and not replace:
        st.caption(
            f"There is one called {plain(repr(draft.name))}: choose another name, or tick "
            f"{label!r}."
        )
    if exp is not None:
        with st.expander("The experiment file"):
            st.code(to_toml(exp), language="toml")


def _save(exp: Experiment, replace: bool) -> None:
    try:
        path = save_experiment(exp, overwrite=replace)
    except OODLensError as error:
        drafting.note(str(error))
        return
    cache.experiments.clear()
    cache.refresh()
    drafting.stop()
    state.put("experiment", exp.name)
    drafting.note(f"Saved as {path}. Prepare it below, then every page answers.", "success")

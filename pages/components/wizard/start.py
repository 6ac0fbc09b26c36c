"""Ways into the wizard: new, from a file, a copy of what is shown; and out of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import streamlit as st

from ood_core import wizard
from ood_core.errors import OODLensError
from ood_core.experiments import Experiment, to_toml
from pages.components.kit.view import View
from pages.components.wizard import drafting

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

__all__ = ["buttons", "header"]


def buttons(view: View) -> None:
    """New experiment, load one, share this one."""
    with st.container(horizontal=True, horizontal_alignment="left", gap="small", key="own"):
        st.button(
            "New experiment", key="wizard_new", icon=":material/add:", on_click=_begin,
            help="Bring your own network and images.",
        )  # fmt: skip
        with st.popover("Load", icon=":material/folder_open:", help="An experiment file"):
            _load()
        with st.popover("Share", icon=":material/share:", help="This experiment as a file"):
            _share(view.experiment)


def header() -> None:
    """Title of the wizard, the folder to look through, and the way back."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html("<h2 class='section'>Bring your own</h2>")
        st.space("stretch")
        with st.popover("Load a file", icon=":material/folder_open:"):
            _load()
        st.button(
            "Back to the overview", key="wizard_close", icon=":material/close:",
            on_click=drafting.stop,
        )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Folder with all you have",
            key="new_folder",
            placeholder="/data/mine",
            help="It is looked through, four levels deep, for checkpoints, for training beside "
            "test or validation images, for lists and tables of images, and for other folders "
            "with images; or for files of features. You can also leave it empty and name each file "
            "and folder below.",
        )
        st.button("Look through", key="new_look", icon=":material/search:", on_click=_look)


def _begin() -> None:
    drafting.start(wizard.Draft())


def _load() -> None:
    uploaded = st.file_uploader("Experiment file", type="toml", key="load_file")
    path = st.text_input(
        "or the path of an experiment file on this machine",
        key="load_path",
        placeholder="mine.toml",
    )
    st.button(
        "Open in the wizard", key="load_open", disabled=not (uploaded or path), on_click=_open,
        args=(uploaded, path),
    )  # fmt: skip


def _open(uploaded: UploadedFile | None, path: str) -> None:
    try:
        if uploaded is not None:
            draft = wizard.parse_draft(uploaded.getvalue(), uploaded.name)
        else:
            draft = wizard.load_draft(path.strip())
    except OODLensError as error:
        drafting.note(str(error))
        return
    drafting.start(draft)


def _share(experiment: Experiment) -> None:
    st.download_button(
        "Download the experiment file", to_toml(experiment), f"{experiment.name}.toml",
        key="share_download", icon=":material/download:",
    )  # fmt: skip
    st.caption(
        "Paths below a data folder are written relative, so the file works beside the same data "
        "on another machine."
    )
    st.button("Change a copy", key="share_copy", icon=":material/edit:", on_click=_copy,
              args=(experiment,))  # fmt: skip


def _copy(experiment: Experiment) -> None:
    copy = dataclasses.replace(experiment, name=f"{experiment.name}-copy")
    drafting.start(wizard.draft_of(copy))


def _look() -> None:
    """Fill what is empty with what the folder holds; what was chosen stays."""
    folder = (st.session_state.get("new_folder") or "").strip()
    if not folder:
        drafting.note("Name the folder first.")
        return
    draft = drafting.current()
    try:
        survey = wizard.survey(folder, draft.fit, features=draft.kind == "features")
    except OODLensError as error:
        drafting.note(str(error))
        return
    drafting.found(survey)
    if survey.features and draft.kind != "features":
        draft = wizard.with_kind(draft, "features")
        drafting.change(**vars(draft))
    if survey.head and not draft.head:
        drafting.change(head=survey.head)
    fit, test = survey.pairs[0] if survey.pairs else (draft.fit, draft.test)
    if survey.checkpoints and not (draft.checkpoint or draft.weights or survey.features):
        drafting.change(checkpoint=str(survey.checkpoints[0]), random_weights=None)
    if not (draft.fit.source or draft.test.source):
        drafting.change(fit=fit, test=test)
    elif not draft.test.source and not fit.source:  # test images of the classes chosen before
        drafting.change(test=test)
    if survey.others and not draft.ood:
        drafting.change(ood=survey.others)
    drafting.note(_found_text(survey), "success")
    if not survey.certain:
        drafting.note(
            f"Nothing tells which of the {len(survey.pairs)} pairs the network knows. The first "
            "was taken: look at what was found, below Images."
        )


def _found_text(survey: wizard.Survey) -> str:
    pairs = sum(bool(a.source and b.source) for a, b in survey.pairs)
    first = _count(len(survey.checkpoints), "checkpoint")
    if survey.features:
        first = _count(int(bool(survey.head)), "head")
    return (
        f"Found {first}, {_count(pairs, 'pair')} of fit and test "
        f"{'features' if survey.features else 'images'} and "
        f"{_count(len(survey.others), 'other set')}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"

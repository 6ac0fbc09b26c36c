"""Neurons: which neurons speak for which class, what LINe keeps of them, life without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.components.kit import frame, state
from pages.components.kit.messages import told
from pages.components.kit.plain import plain
from pages.components.neurons import line_lab, neuron_views, selection, without_classes

if TYPE_CHECKING:
    from ood_core.neurons import LineLab

view = frame.open_page("Neurons", "Which neurons tell a class, and what does LINe keep of them?")


@st.fragment(key=selection.LAB)
@told()
def laboratory(lab: LineLab) -> None:
    """LINe's sliders and what they move; a release redraws this and little else."""
    line_lab.draw(view, lab)
    state.publish()


@st.fragment(key=selection.VIEWS)
@told()
def views(lab: LineLab) -> None:
    """The chosen look at the neurons."""
    neuron_views.draw(view, lab, selection.settings())
    state.publish()


@told()
def draw() -> None:
    """Both, once LINe's contributions are known; where LINe cannot run, what needs no classes."""
    if view.layer != "penultimate":
        st.caption("Neurons are those of the penultimate layer, whichever layer is chosen.")
    if "line" in view.lacking:
        without_classes.draw(view)
        return
    lab = line_lab.lab_of(view)
    for warning in lab.warnings:
        st.caption(f":material/warning: {plain(warning)}")
    neuron_views.choose()
    laboratory(lab)
    views(lab)


draw()

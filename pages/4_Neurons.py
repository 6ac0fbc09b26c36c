"""Neurons: which neurons speak for which class, what LINe keeps of them, life without them."""

import streamlit as st

from pages.components import frame, neuron_lab, neuron_views, state
from pages.components.told import told

view = frame.open_page("Neurons", "Which neurons tell a class, and what does LINe keep of them?")


@st.fragment
@told
def laboratory() -> None:
    """Everything that follows LINe's sliders; a release redraws this and nothing else."""
    lab = neuron_lab.lab_of(view)
    for warning in lab.warnings:
        st.caption(f":material/warning: {warning}")
    chosen = neuron_lab.draw(view, lab)
    neuron_views.draw(view, lab, chosen)
    state.publish()


laboratory()

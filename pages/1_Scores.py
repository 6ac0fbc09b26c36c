"""Scores: distributions, curves, one threshold, and the images that it judges."""

import streamlit as st

from pages.components.kit import frame, words
from pages.components.kit.messages import told
from pages.components.scores import workbench

view = frame.open_page(
    "Scores", "Which threshold separates ID from OOD, and which images does it judge wrongly?"
)
with told():
    with st.spinner("Scoring …", show_time=True):
        scores = view.scores()
    words.warnings(scores.warnings)
    workbench.draw(view, scores)

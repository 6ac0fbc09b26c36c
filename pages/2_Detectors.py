"""Detectors: which one is best here, how much its settings matter, and where two disagree."""

import streamlit as st

from pages.components.detectors import disagreement, leaderboard, sweeps
from pages.components.kit import frame, state, words
from pages.components.kit.messages import told

TABS = {"board": "Leaderboard", "sweep": "Sweeps", "compare": "Two detectors"}

view = frame.open_page(
    "Detectors", "Which detector is best here, and would I trust the difference?"
)
tab = state.choose("tab", list(TABS), "board")
st.segmented_control(
    "View",
    list(TABS),
    key="tab",
    format_func=TABS.__getitem__,
    required=True,
    label_visibility="collapsed",
)
state.publish()
state.notes()
with told():
    if words.nothing_to_tell_apart(view.ood_sets):
        st.stop()
    if tab == "board":
        leaderboard.draw(view, *leaderboard.score_everything(view))
    elif tab == "sweep":
        sweeps.draw(view)
    else:
        disagreement.draw(view)

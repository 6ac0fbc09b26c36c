"""Detectors: which one is best here, how much its settings matter, and where two disagree."""

import streamlit as st

from pages.components import comparing, frame, ranking, state, sweeping

TABS = {"board": "Leaderboard", "sweep": "Sweeps", "compare": "Two detectors"}

view = frame.open_page(
    "Detectors", "Which detector is best here, and would I trust the difference?"
)
tab = state.choose("tab", list(TABS), "board")
st.segmented_control(
    "View", list(TABS), key="tab", format_func=TABS.get, required=True, label_visibility="collapsed"
)
state.publish()
state.notes()
if tab == "board":
    ranking.draw(view, *ranking.score_everything(view))
elif tab == "sweep":
    sweeping.draw(view)
else:
    comparing.draw(view)

"""Export: the chosen detector as a recipe, a report and a file to deploy."""

import streamlit as st

from pages.components.charts import operating, payload
from pages.components.export import shipping
from pages.components.kit import frame, state
from pages.components.kit.messages import told

view = frame.open_page("Export", "How do I defend this choice, repeat it, and ship it?")
with told():
    scores = view.scores()
    low, high = payload.of(view, scores).ends
    point, check = operating.choose_point(scores, low, high)
    operating.controls(low, high)
    state.publish()
    state.notes()
    at = operating.at_text(point)
    left, right = st.columns(2, gap="large")
    with left:
        shipping.report(view, scores, point, check)
        shipping.detector(view, at)
    with right:
        shipping.recipe(view, scores, at)

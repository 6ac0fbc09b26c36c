"""What NAN and LINe gain on this experiment: a chart, and beside it how much, where and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ood_core.plots.gains import gains_figure
from ood_core.scoring.gains import table
from ood_core.views import showcase
from ood_core.views.not_applicable import outside
from pages.components.charts import figures
from pages.components.charts.checklist import remarks_html
from pages.components.kit import cache
from pages.components.kit.messages import told
from pages.components.kit.view import View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ood_core.scoring import ScoreSet
    from ood_core.scoring.gains import Gain

__all__ = ["draw"]


@told()
def draw(view: View, scores: Mapping[str, ScoreSet]) -> None:
    """Draw the chart and the remarks, of the scores that can run here."""
    key = (*(s.key for s in scores.values()), view.ood_sets)
    found = cache.once(("gains", *key), lambda: showcase.gains(scores))
    without = outside(view.acts)
    if not found:
        st.html(remarks_html(without))
        return
    st.html("<h2 class='section'>What NAN and LINe gain here, where they lose, and why</h2>")
    with st.container(key="showcase_bench"):
        left, right = st.columns([7, 5], gap="medium")
    with left:
        _chart(view, found)
    why = cache.once(("gains_why", *key), lambda: showcase.remarks(view.acts, scores, found))
    right.html(remarks_html(why + without + view.above_id(scores[found[0].detector])))


def _chart(view: View, found: Sequence[Gain]) -> None:
    colours = {name: view.colour(name) for name in view.ood_sets}
    titles = {name: cache.short_title(name) for g in found for name in (g.detector, g.against)}
    figures.show(gains_figure(found, colours, titles), "gains", data=lambda: table(found))

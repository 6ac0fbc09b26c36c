"""Detector against detector: scores, agreement, and the images on which they differ."""

from __future__ import annotations

import streamlit as st

from ood_core.detectors import canonical_name
from ood_core.plots.sweeps import score_scatter
from ood_core.scoring.disagreement import GROUPS, Disagreement, disagreement
from pages.components.charts import figures, gallery
from pages.components.kit import cache, state
from pages.components.kit.messages import told
from pages.components.kit.view import View

__all__ = ["draw"]


@st.fragment
@told()
def draw(view: View) -> None:
    """Scatter of the two scores, counts per set, four galleries."""
    titles = view.able
    others = [n for n in titles if n != view.detector]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        second = state.choose(
            "compare_detector",
            others,
            "energy" if "energy" in others else others[0],
            renamed=canonical_name,
            lacking=view.lacking,
        )
        st.selectbox(
            f"{titles[view.detector]} against",
            others,
            key="compare_detector",
            format_func=titles.__getitem__,
            width=300,
        )
        accepted = state.number("compare_tpr", 50.0, 99.9, 95.0)
        st.number_input(
            "ID accepted by each, %", 50.0, 99.9, step=0.5, key="compare_tpr", width=180
        )
    state.publish()
    state.notes()
    first, other = view.scores(), view.scores(second)
    key = ("compare", first.key, other.key, view.ood_sets, accepted)
    found = cache.once(key, lambda: disagreement(first, other, accepted / 100))
    with st.container(key="compare_bench"):
        left, right = st.columns([3, 2], gap="medium")
    pair = (cache.short_title(view.detector), cache.short_title(second))
    with left:
        figure = score_scatter(found, pair, first.id_name, view.experiment.ood_sets)
        figures.show(figure, "compare_scatter", data=found.rows, name="compare")
    with right:
        named = dict(zip(GROUPS, _names(pair), strict=True))
        st.dataframe(found.counts.rename(columns=named).reset_index(), hide_index=True)
        st.caption(
            f"Each at its own threshold: {pair[0]} {found.threshold_a:.5g}, {pair[1]} "
            f"{found.threshold_b:.5g}. Rank correlation of the scores "
            f"{found.correlation:.3f}.".replace("-", "−")
        )
        csv = found.counts.reset_index()
        figures.csv_button(csv, "agreement", key="agreement_csv")
    _galleries(view, found, pair)


def _names(pair: tuple[str, str]) -> list[str]:
    return ["Both accept", "Both reject", f"Only {pair[0]}", f"Only {pair[1]}"]


def _galleries(view: View, found: Disagreement, pair: tuple[str, str]) -> None:
    names = dict(zip(GROUPS, _names(pair), strict=True))

    def titled(group: str) -> str:
        return f"{names[group]} ({int(found.counts[group].sum()):,})"

    state.choose("compare_group", list(GROUPS), "a_only")
    st.segmented_control(
        "Images", list(GROUPS), key="compare_group", required=True, on_change=gallery.first_page,
        format_func=titled,
    )  # fmt: skip
    rows = found.group(st.session_state["compare_group"])
    gallery.show(view, rows.rename(columns={"a": "score"}), "compare_gallery", per_page=20)
    figures.csv_button(rows, "images", key="compare_images_csv")

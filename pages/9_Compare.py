"""Compare: two experiments side by side, with the same detectors."""

import dataclasses

import streamlit as st

from ood_core.plots.distributions import histogram
from ood_core.side_by_side import side_by_side
from pages.components import cache, figures, frame, prepare, state

DETECTORS = ("feature_norm", "nan", "line", "energy")

view = frame.open_page("Compare", "Which of two classifiers knows better what it does not know?")
known = {e.name: cache.available(e) for e in cache.experiments() if not hasattr(e, "message")}
others = [name for name in known if name != view.experiment.name]
if not others:
    st.info("There is only one experiment. Make another on the Overview page.")
    st.stop()
ready = [name for name in others if cache.prepared(known[name]) is not None]
name = state.choose("other_experiment", others, (ready or others)[0])
st.selectbox(
    f"{view.experiment.title} against",
    others,
    key="other_experiment",
    format_func=lambda n: known[n].title + ("" if n in ready else " (not prepared)"),
    width=420,
)
state.publish()
state.notes()
other = known[name]
acts = cache.prepared(other)
if acts is None:
    prepare.panel(other)
    st.stop()
second = dataclasses.replace(
    view, experiment=other, acts=acts, layer="penultimate", ood_sets=other.ood_sets
)
both = (dataclasses.replace(view, layer="penultimate"), second)
names = tuple(dict.fromkeys((*DETECTORS, view.detector)))
columns = st.columns(2, gap="medium")
for column, one, tag in zip(columns, both, ("a", "b"), strict=True):
    scores = one.scores(view.detector)
    with column:
        st.markdown(f"**{one.experiment.title}**")
        chart = histogram(
            scores.summary(), {n: scores.summary(n) for n in scores.ood},
            colours={n: one.colour(n) for n in scores.ood},
            score_name=f"{cache.detector_titles()[view.detector]} score",
        )  # fmt: skip
        figures.show(chart, f"compare_{tag}", name=f"{one.experiment.name}-scores", height=360)
table = side_by_side(*[[one.scores(n) for n in names] for one in both])
table = table.sort_values("apart", key=lambda c: c.isna(), kind="stable")  # shared sets first
table["detector"] = [cache.detector_titles()[n] for n in table["detector"]]
number = st.column_config.NumberColumn
st.dataframe(
    table,
    hide_index=True,
    column_config={
        "detector": "Detector",
        "ood_set": "OOD set",
        "auroc_a": number(f"AUROC, {view.experiment.name}", format="%.2f"),
        "auroc_b": number(f"AUROC, {other.name}", format="%.2f"),
        "auroc_difference": number("Difference", format="%+.2f"),
        "apart": st.column_config.CheckboxColumn("Intervals apart"),
        "fpr95_a": number(f"FPR95, {view.experiment.name}", format="%.2f"),
        "fpr95_b": number(f"FPR95, {other.name}", format="%.2f"),
        "fpr95_difference": number("Difference", format="%+.2f"),
    },
)
figures.csv_button(table, "compare", key="compare_csv")
st.caption(
    "Percent, penultimate layer. FPR95 with ID positive. OOD sets are matched by name; "
    "their images may differ. Scores of different networks have different scales, so compare "
    "shapes and figures, not positions."
)

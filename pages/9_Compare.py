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
with st.container(key="bench_compare"):  # below each other in a narrow window
    columns = st.columns(2, gap="medium")
for column, one, tag in zip(columns, both, ("A", "B"), strict=True):
    scores = one.scores(view.detector)
    with column:
        chart = histogram(
            scores.summary(), {n: scores.summary(n) for n in scores.ood},
            colours={n: one.colour(n) for n in scores.ood},
            score_name=f"{cache.detector_titles()[view.detector]} score",
        )  # fmt: skip
        alt = f"{one.experiment.title}: {chart.layout.title.text}"
        axis = chart.layout.xaxis.title.text.replace("in-distribution", "ID")  # half as wide
        chart.update_layout(title_text=f"{tag}: {one.experiment.title}", xaxis_title_text=axis)
        figures.show(
            chart,
            f"compare_{tag.lower()}",
            name=f"{one.experiment.name}-scores",
            height=360,
            alt=alt,
        )
table = side_by_side(*[[one.scores(n) for n in names] for one in both])
table = table.sort_values("apart", key=lambda c: c.isna(), kind="stable")  # shared sets first
table["detector"] = [cache.short_title(n) for n in table["detector"]]
number = st.column_config.NumberColumn
st.dataframe(
    table,
    hide_index=True,
    placeholder="–",  # an OOD set that only one of them has
    column_order=[c for c in table.columns if c != "apart"] + ["apart"],
    column_config={
        "detector": st.column_config.Column("Detector", width=100),
        "ood_set": st.column_config.Column("OOD set", width=70),
        "auroc_a": number("AUROC A", format="%.2f", width=64),
        "auroc_b": number("AUROC B", format="%.2f", width=64),
        "auroc_difference": number("B − A", format="%+.2f", width=50),
        "fpr95_a": number("FPR95 A", format="%.2f", width=62),
        "fpr95_b": number("FPR95 B", format="%.2f", width=62),
        "fpr95_difference": number("B − A", format="%+.2f", width=50),
        "apart": st.column_config.CheckboxColumn("Apart", width=50),
    },
)
figures.csv_button(table, "compare", key="compare_csv")
st.caption(
    f"A: {view.experiment.name}, B: {other.name}. Percent, penultimate layer; whether the 95 % "
    "intervals of AUROC lie apart. FPR95 with ID positive. OOD sets are matched by name; their "
    "images may differ. Scores of different networks have different scales, so compare "
    "shapes and figures, not positions."
)

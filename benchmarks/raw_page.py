"""The naive page: the same scores drawn as raw points, everything again on every change."""

import sys
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[1]))

import ood_core
from ood_core import scoring

st.set_page_config(layout="wide")
name = st.query_params.get("experiment", "synthetic")
detector = st.selectbox("Detector", ["nan", "energy"], key="detector")


@st.cache_resource
def activations(experiment: str):
    return ood_core.prepared(ood_core.load_experiment(experiment))


acts = activations(name)
scores = scoring.score(acts, detector, {}, None, acts.experiment.ood_sets)
low, high = float(scores.id_scores.min()), float(scores.id_scores.max())
threshold = st.slider(
    "Threshold", low, high, (low + high) / 2, (high - low) / 1000, key="threshold"
)
left, right = st.columns(2)
histogram = go.Figure(go.Histogram(x=scores.id_scores, name="ID"))
for ood, values in scores.ood.items():
    histogram.add_histogram(x=values, name=ood)
histogram.add_vline(x=threshold)
left.plotly_chart(histogram, key="histogram")
from sklearn.metrics import roc_curve  # noqa: E402

curve = go.Figure()
for ood, values in scores.ood.items():
    labels = [1] * len(scores.id_scores) + [0] * len(values)
    fpr, tpr, _ = roc_curve(labels, [*scores.id_scores, *values], drop_intermediate=False)
    curve.add_scatter(x=fpr, y=tpr, name=ood)
right.plotly_chart(curve, key="curve")
st.markdown(f"{(scores.id_scores >= threshold).mean():.2%} of ID accepted")

"""The yardstick: a bare Streamlit page with one slider, one select box and two static charts."""

import plotly.graph_objects as go
import streamlit as st

st.set_page_config(layout="wide")
value = st.slider("Threshold", 0.0, 1.0, 0.5, 0.01, key="threshold")
choice = st.selectbox("Detector", ["one", "two"], key="detector")
left, right = st.columns(2)
bars = go.Figure(go.Bar(x=list(range(60)), y=[i % 7 for i in range(60)]))
curve = go.Figure(go.Scatter(x=[i / 200 for i in range(200)], y=[i / 200 for i in range(200)]))
left.plotly_chart(bars, key="bars")
right.plotly_chart(curve, key="curve")
st.markdown(f"{choice} at {value:.2f}")

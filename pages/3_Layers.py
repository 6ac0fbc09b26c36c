"""Layers: where in the network the norm and NAN tell ID from OOD, and why."""

import streamlit as st

from pages.components.kit import frame
from pages.components.layers import depth

view = frame.open_page("Layers", "At which layer does NAN beat the plain norm, and why?")
depth.curves(view)
st.html("<h2 class='section'>NAN taken apart</h2>")
with st.container(key="bench"):
    left, right = st.columns([11, 9], gap="medium")
with left:
    if view.ood_sets:  # else the curves have said that there is nothing to compare with
        depth.apart(view)
with right:
    depth.units(view)

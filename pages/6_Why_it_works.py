"""Why it works: the claims behind the norm and NAN, each tested on live data."""

import streamlit as st

from ood_core.errors import OODLensError
from pages.components.kit import frame
from pages.components.why import theory

view = frame.open_page(
    "Why it works", "Why is the feature norm larger on images that the network knows?"
)
try:
    theory.intro()
    theory.hidden_section(view)
    theory.nan_section(view)
    results = theory.lab_panel()
    if results is not None:
        theory.lab_sections(results)
except OODLensError as error:
    st.error(str(error), icon=":material/block:")

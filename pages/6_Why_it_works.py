"""Why it works: the claims behind the norm and NAN, each tested on live data."""

from pages.components.kit import frame
from pages.components.kit.messages import told
from pages.components.why import theory

view = frame.open_page(
    "Why it works", "Why is the feature norm larger on images that the network knows?"
)
with told():
    theory.intro()
    theory.hidden_section(view)
    theory.nan_section(view)
    results = theory.lab_panel()
    if results is not None:
        theory.lab_sections(results)

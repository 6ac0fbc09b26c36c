"""Compare: two experiments side by side, with the same detectors."""

from pages.components.compare import two_experiments
from pages.components.kit import frame
from pages.components.kit.messages import told

view = frame.open_page("Compare", "Which of two classifiers knows better what it does not know?")
with told():
    two_experiments.draw(view, two_experiments.choose(view))

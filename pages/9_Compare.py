"""Compare: two experiments side by side, with the same detectors."""

from pages.components import frame, side_by_side

view = frame.open_page("Compare", "Which of two classifiers knows better what it does not know?")
side_by_side.draw(view, side_by_side.choose(view))

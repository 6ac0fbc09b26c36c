"""Overview: choose an experiment, prepare it, see how its detectors do."""

from pages.components import frame, overview

view = frame.open_page(
    "Overview", "Does this classifier know what it does not know?", prepared=False
)
overview.draw(view)

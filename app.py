"""Overview: choose an experiment, prepare it, see how its detectors do."""

from pages.components import frame, overview, wizard

view = frame.open_page(
    "Overview", "Does this classifier know what it does not know?", prepared=False
)
if not wizard.draw(view):
    overview.draw(view)

"""Overview: choose an experiment, prepare it, see how its detectors do."""

from pages.components import wizard
from pages.components.kit import frame
from pages.components.kit.messages import told
from pages.components.overview import panels

view = frame.open_page(
    "Overview", "Does this classifier know what it does not know?", prepared=False
)
with told():
    if not wizard.draw(view):
        panels.draw(view)

"""Map: penultimate features in a plane; draw round a group to see its images."""

from pages.components.kit import frame
from pages.components.map import feature_map

feature_map.draw(
    frame.open_page("Map", "Where do OOD images lie among the ID images, and which are they?")
)

"""Map: penultimate features in a plane; draw round a group to see its images."""

from pages.components import feature_map, frame

feature_map.draw(
    frame.open_page("Map", "Where do OOD images lie among the ID images, and which are they?")
)

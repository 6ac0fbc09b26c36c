"""Map: penultimate features in a plane; draw round a group to see its images."""

import streamlit as st

from ood_core import galleries, projection
from ood_core.plots.map import MOST_POINTS, drawn_rows, feature_map, outline
from ood_core.thresholds import at_tpr
from pages.components import background, cache, explain, figures, frame, gallery, state

METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
REGIONS = "_map_regions"  # (activations, sets, projection) -> the region drawn last
COLOURS = {"set": "image set", "class": "predicted class", "score": "score", "verdict": "verdict"}

view = frame.open_page("Map", "Where do OOD images lie among the ID images, and which are they?")
sets = (view.experiment.test_set, *view.ood_sets)


def coordinates(method: str) -> object:
    """The projected images, computed once; t-SNE and UMAP in the background."""
    key = ("map", method, view.fingerprint, sets)

    def make(*_: object) -> object:
        return projection.project({n: view.acts[n].features for n in sets}, method)

    if method == "pca":
        return cache.once(key, make)
    return background.result(key, make, f"Computing the {METHODS[method]} map in the background …")


def colour_values(points: object, colour: str) -> object:
    """What the colour shows, per point; None for the image set."""
    if colour == "set":
        return None
    if colour == "class":
        return projection.gather(points, projection.predictions(view.acts, sets))
    scores = view.scores()
    values = projection.gather(points, {scores.id_name: scores.id_scores, **scores.ood})
    return values if colour == "score" else values >= at_tpr(scores.id_scores).threshold


@st.fragment
def draw() -> None:
    """Controls, map, and the images inside the drawn region."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = state.choose("map_method", list(METHODS), "pca")
        st.segmented_control(
            "Projection", list(METHODS), key="map_method", format_func=METHODS.get, required=True
        )
        colour = state.choose("map_colour", list(COLOURS), "set")
        st.segmented_control(
            "Colour", list(COLOURS), key="map_colour", format_func=COLOURS.get, required=True
        )
        explain.words(
            "Each point is an image, placed by its penultimate features. PCA keeps the two "
            "directions in which the ID test images vary most; distances in it are honest but "
            "most directions are lost. t-SNE and UMAP show neighbourhoods; distances between "
            "far groups mean little in them. The verdict is that of the chosen detector at the "
            "threshold that accepts 95 % of the ID test images.",
            equation=r"x = (h - \mu)\,V_{1:2}",
        )
    state.publish()
    state.notes()
    points = coordinates(method)
    if points is None:
        return
    chart = feature_map(
        points,
        id_set=view.experiment.test_set,
        ood_order=view.experiment.ood_sets,
        colour=colour,
        values=colour_values(points, colour),
        class_names=dict(enumerate(view.class_names)),
        title=f"Penultimate features of {len(points):,} images, {METHODS[method]}",
    )
    place = (view.fingerprint, sets, method)
    region = st.session_state.get(REGIONS, {}).get(place)
    key = f"map_{method}_{colour}_{st.session_state.get('_map_cleared', 0)}"
    if region and not (region["chart"] == key and _regions_in(key)):
        region["chart"] = ""  # none shows it by itself
        outline(chart, region["x"], region["y"])
    left, right = st.columns([3, 2], gap="medium")
    with left:
        figures.show(
            chart, key, data=points, name="map",
            on_select=lambda: _keep(place, key), selection_mode=("lasso", "box"),
        )  # fmt: skip
        _about(points, method)
    with right:
        _selected(points, region, place)


def _regions_in(key: str) -> list:
    """Regions that a chart holds and shows by itself."""
    event = st.session_state.get(key)
    return [*event.selection.lasso, *event.selection.box] if event else []


def _keep(place: tuple, key: str) -> None:
    """Remember the region just drawn, a lasso's corners or two of a box: a chart in another colour
    is another chart, which knows nothing of it. A chart with an outline is drawn again without it
    and then shows no region by itself."""
    regions = st.session_state.setdefault(REGIONS, {})
    plain = place not in regions or regions[place]["chart"] == key
    for drawn in _regions_in(key):
        chart = key if plain else ""
        regions[place] = {"x": drawn["x"], "y": drawn["y"], "chart": chart}
        gallery.first_page()


def _clear(place: tuple) -> None:
    """Forget the region, and draw a new chart that shows none."""
    st.session_state.get(REGIONS, {}).pop(place, None)
    st.session_state["_map_cleared"] = st.session_state.get("_map_cleared", 0) + 1


def _about(points: object, method: str) -> None:
    share = points.attrs.get("explained")
    parts = [f"The two directions hold {share:.0%} of the variance of the ID test images."] * (
        share is not None
    )
    drawn = len(drawn_rows(points))
    if len(points) > MOST_POINTS:
        parts.append(f"{drawn:,} points drawn, evenly; a drawn region selects among all.")
    if method != "pca":
        parts.append(f"{len(points):,} images, an even share of each set.")
    st.caption(" ".join(parts))


def _selected(points: object, region: dict | None, place: tuple) -> None:
    if region is None:
        st.markdown("**Images in a region**")
        st.caption("Draw round a group of points with the lasso or the box to see its images.")
        return
    rows = projection.in_region(points, region["x"], region["y"])
    counts = ", ".join(f"{n} {name}" for name, n in rows["set"].value_counts().items())
    st.markdown(f"**{len(rows):,} images in the region**")
    st.caption(counts or "None.")
    scores = view.scores()
    rows = rows.assign(
        score=projection.gather(rows, {scores.id_name: scores.id_scores, **scores.ood})
        if len(rows)
        else []
    )
    gallery.show(view, rows, "map_gallery", per_page=12)
    with st.container(horizontal=True):
        figures.csv_button(
            lambda: galleries.describe(rows, view.acts, view.acts.head, scores.summary()),
            "region", key="map_region_csv",
        )  # fmt: skip
        st.button(
            "Clear region", key="map_clear", type="tertiary", icon=":material/clear:",
            on_click=_clear, args=(place,),
        )  # fmt: skip


draw()

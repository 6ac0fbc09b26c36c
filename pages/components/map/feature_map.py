"""The map of features: its controls, the points, and the images inside a drawn region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from ood_core.activations import predicted_classes
from ood_core.errors import OODLensError
from ood_core.plots.map import MOST_POINTS, drawn_rows, feature_map, outline
from ood_core.thresholds import at_tpr
from ood_core.views import galleries, projection
from ood_core.views.regions import Region
from pages.components.charts import figures, gallery
from pages.components.kit import cache, jobs, state, words
from pages.components.kit.messages import told
from pages.components.kit.view import View

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["draw"]

METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
COLOURS = {"set": "image set", "class": "predicted class", "score": "score", "verdict": "verdict"}
AXES = ("component 1 (feature units)", "component 2 (feature units)")
REGION = "region"
Place = tuple[str, str, tuple[str, ...]]
"""What a plane depends on: activations, projection, image sets."""
_REGIONS = "_map_regions"  # place -> text of the region drawn last
_ITSELF = "_map_itself"  # (chart, region) where a chart shows the region that was drawn in it


@st.fragment
@told()
def draw(view: View) -> None:
    """Controls, map, and the images inside the drawn region."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = state.choose("map_method", list(METHODS), "pca")
        st.segmented_control(
            "Projection",
            list(METHODS),
            key="map_method",
            format_func=METHODS.__getitem__,
            required=True,
        )
        lacking = {} if view.acts.predicts else {"class": _NO_CLASSES}
        colours = [c for c in COLOURS if c not in lacking]
        colour = state.choose("map_colour", colours, "set", lacking=lacking)
        st.segmented_control(
            "Colour",
            colours,
            key="map_colour",
            format_func=COLOURS.__getitem__,
            required=True,
        )
        words.words(_WORDS, equation=r"x = (h - \mu)\,V_{1:2}")
    sets = (view.experiment.test_set, *view.ood_sets)
    # PCA is that of the ID test set: the plane is the same whichever OOD sets are chosen.
    place = (view.fingerprint, method, () if method == "pca" else sets)
    region = _region(place)
    state.publish()
    state.notes()
    points = _coordinates(view, sets, method)
    if points is None:
        return
    with st.container(key="map_bench"):  # below each other in a narrow window
        left, right = st.columns([3, 2], gap="medium")
    with left:
        _chart(view, points, method, colour, region)
        _about(points, method, "" if view.acts.predicts else _NO_CLASSES)
    with right:
        _selected(view, points, region)


def _coordinates(view: View, sets: tuple[str, ...], method: str) -> pd.DataFrame | None:
    """The projected images, computed once; t-SNE and UMAP in the background."""
    key = ("map", method, view.fingerprint, sets)

    def make(*_: object) -> pd.DataFrame:
        return projection.project({n: view.acts[n].features for n in sets}, method)

    if method == "pca":
        return cache.once(key, make)
    return jobs.result(key, make, f"Computing the {METHODS[method]} map in the background …")


def _chart(
    view: View, points: pd.DataFrame, method: str, colour: str, region: Region | None
) -> None:
    chart = feature_map(
        points,
        id_set=view.experiment.test_set,
        ood_order=view.experiment.ood_sets,
        colour=colour,
        values=_values(view, points, colour),
        class_names=dict(enumerate(view.class_names)),
        titles=AXES if method == "pca" else (f"{METHODS[method]} 1", f"{METHODS[method]} 2"),
        title=f"Features of {len(points):,} images, {METHODS[method]}",
    )
    key = _key(method, colour)
    if region is None and _drawn_in(key):  # walked back to before it was drawn
        _new_chart()
        key = _key(method, colour)
    itself = st.session_state.get(_ITSELF) == (key, str(region)) and bool(_drawn_in(key))
    if region and not itself:
        st.session_state.pop(_ITSELF, None)
        outline(chart, region)
    plain = itself or region is None
    figures.show(
        chart, key, data=points, name="map",
        on_select=lambda: _keep(key, plain), selection_mode=("lasso", "box"),
    )  # fmt: skip


def _values(view: View, points: pd.DataFrame, colour: str) -> pd.Series | None:
    """What the colour shows, per point; None for the image set."""
    if colour == "set":
        return None
    if colour == "class":
        head = view.acts.head
        return projection.gather(
            points, {n: predicted_classes(view.acts[n], head) for n in points["set"].unique()}
        )
    scores = view.scores()
    values = projection.gather(points, {scores.id_name: scores.id_scores, **scores.ood})
    return values if colour == "score" else values >= at_tpr(scores.id_scores).threshold


def _region(place: Place) -> Region | None:
    """Region in the address; each plane has its own, and shows it again when it is back."""
    regions = st.session_state.setdefault(_REGIONS, {})
    before = st.session_state.get("_region_of", place)
    if before != place and not state.adopted():
        state.forget(REGION)
        if place in regions:
            state.remember(REGION, regions[place])
    st.session_state["_region_of"] = place
    text = state.text(REGION)
    if not text:
        regions.pop(place, None)
        return None
    try:
        region = Region.parse(text)
    except OODLensError as error:
        state.note(f"The address asks for what is no region: {error}")
        state.forget(REGION)
        return None
    regions[place] = text
    return region


def _drawn_in(key: str) -> list[Mapping[str, Sequence[float]]]:
    """Regions that a chart holds and shows by itself."""
    event = st.session_state.get(key)
    return [*event.selection.lasso, *event.selection.box] if event else []


def _keep(key: str, plain: bool) -> None:
    """Remember the region just drawn. A chart with an outline is drawn again without it, and then
    shows no region by itself."""
    for drawn in _drawn_in(key):
        try:
            region = Region.drawn(drawn["x"], drawn["y"])
        except OODLensError:  # a click, no area
            continue
        state.remember(REGION, str(region))
        if plain:
            st.session_state[_ITSELF] = (key, str(region))
        gallery.first_page()


def _clear() -> None:
    """Forget the region, and draw a new chart that shows none."""
    state.forget(REGION)
    _new_chart()


def _new_chart() -> None:
    st.session_state["_map_cleared"] = st.session_state.get("_map_cleared", 0) + 1


def _key(method: str, colour: str) -> str:
    return f"map_{method}_{colour}_{st.session_state.get('_map_cleared', 0)}"


def _about(points: pd.DataFrame, method: str, lacking: str) -> None:
    """What the plane holds, and what of it cannot be coloured here."""
    share, parts = points.attrs.get("explained"), []
    if share is not None:
        held = f"{100 * share:.0f} % of the variance of the ID test images"
        parts.append(f"The two directions hold {held}.")
    if len(points) > MOST_POINTS:
        parts.append(
            f"{len(drawn_rows(points)):,} points drawn, evenly; a drawn region selects among all."
        )
    if method != "pca":
        parts.append(f"{len(points):,} images, an even share of each set.")
    parts += [lacking] * bool(lacking)
    st.caption(" ".join(parts))


def _selected(view: View, points: pd.DataFrame, region: Region | None) -> None:
    if region is None:
        st.markdown("**Images in a region**")
        st.caption("Draw round a group of points with the lasso or the box to see its images.")
        return
    rows = region.rows(points)
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
            lambda: galleries.described(
                rows, view.acts, view.acts.head, scores.summary(), view.class_names
            ),
            "region", key="map_region_csv",
        )  # fmt: skip
        st.button(
            "Clear region", key="map_clear", type="tertiary", icon=":material/clear:",
            on_click=_clear,
        )  # fmt: skip


_NO_CLASSES = "There is no colour by predicted class: the network has no head."
_WORDS = (
    "Each point is an image, placed by its penultimate features. PCA keeps the two directions in "
    "which the ID test images vary most; distances in it are honest but most directions are lost. "
    "t-SNE and UMAP show neighbourhoods; distances between far groups mean little in them. The "
    "verdict is that of the chosen detector at the threshold that accepts 95 % of the ID test "
    "images."
)

"""One image's receipt, and the table of all of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

import streamlit as st

from ood_core.activations import activation_map
from ood_core.data import thumbnail_bytes, thumbnail_of
from ood_core.detectors.line import Line
from ood_core.errors import OODLensError
from ood_core.export.recipe import score_command
from ood_core.neurons import image_receipt
from ood_core.views import receipts
from pages.components.charts import figures, gallery
from pages.components.kit import cache
from pages.components.kit.plain import plain
from pages.components.kit.view import View

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image
    from streamlit.elements.arrow import DataframeStateInput
    from streamlit.elements.lib.column_types import ColumnConfig

    from ood_core.activations import Activations
    from ood_core.scoring import ScoreSet

__all__ = ["downloads", "draw", "results"]

_CHOSEN, _AT_FIRST = "_receipt_of", "_receipt_at_first"


def picture_uri(image: Image.Image | str, size: int = 64) -> str:
    """Small image as a data address for a table cell; the text of a row that has none."""
    if isinstance(image, str):
        return image
    data = base64.b64encode(thumbnail_bytes(image, size, "WEBP")).decode()
    return f"data:image/webp;base64,{data}"


def results(
    table: pd.DataFrame, images: Mapping[str, Image.Image | str], titles: dict[str, str]
) -> str:
    """Sortable table with thumbnails and every detector's verdict; returns the chosen image."""
    shown = table.assign(picture=[picture_uri(images[name]) for name in table["image"]])
    shown["verdict"] = shown["is_id"].map({True: "ID", False: "OOD"})
    predicted = [c for c in ("prediction", "probability") if c in shown]
    if predicted:
        shown["probability"] = 100 * shown["probability"]
    each = [c for c in shown.columns if c.startswith("accepts_")]
    first = ["picture", "image", "verdict", *predicted, "score"]
    order = [*first, "id_percentile", "p_value", "rejected_by", *each]
    number = st.column_config.NumberColumn
    config: dict[str, ColumnConfig | str] = {
        "picture": st.column_config.ImageColumn("", width="small"),
        "image": "Image",
        "verdict": "Verdict",
        "prediction": "Prediction",
        "probability": number("Probability", format="%.2f %%"),
        "score": number("Score", format="%.5g"),
        "id_percentile": number("ID percentile", format="%.2f %%"),
        "p_value": number("p-value", format="%.3f", help="Conformal: small speaks against ID."),
        "rejected_by": number("Rejected by", format=f"%d of {len(each)}"),
    }
    for column in each:
        name = column.removeprefix("accepts_")
        config[column] = st.column_config.CheckboxColumn(
            titles.get(name, name), help="Accepts the image as ID"
        )
    if all(isinstance(image, str) for image in images.values()):  # rows of features
        config |= {"picture": "Text", "image": "Row"}
        order = order if any(images.values()) else order[1:]
    event = st.dataframe(
        shown[order],
        column_config=config,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key="results",
        row_height=52,
        selection_default=_selected(list(table["image"])),
    )
    rows = event.selection.rows
    chosen = rows[0] if rows and rows[0] < len(table) else 0
    st.session_state[_CHOSEN] = name = str(table["image"].iloc[chosen])
    return name


def _selected(names: list[str]) -> DataframeStateInput:
    """The row that was chosen before the page was left."""
    if "results" not in st.session_state:
        chosen = st.session_state.get(_CHOSEN)
        st.session_state[_AT_FIRST] = [names.index(chosen)] if chosen in names else []
    return {"selection": {"rows": [r for r in st.session_state[_AT_FIRST] if r < len(names)]}}


def draw(
    view: View,
    acts: Activations,
    place: int,
    image: Image.Image | str,
    verdicts: pd.DataFrame,
    scores: ScoreSet,
) -> None:
    """The receipt of image number `place` of `acts`."""
    name = acts.ids[place]
    own = verdicts[verdicts["image"] == name]
    titles = cache.detector_titles()
    with st.container(key="bench_receipt"):  # below each other in a narrow window
        left, middle, right = st.columns([2, 3, 3], gap="medium")
    with left:
        _pictures(view, image, name)
        st.caption(plain(receipts.agreement(verdicts, name)))
    with middle:
        _neurons(view, acts, place)
    with right:
        from ood_core.plots.receipts import percentile_dots

        figures.show(percentile_dots(own, titles), "receipt_detectors", data=own, name="detectors")
    rows = view.experiment.classifier.features_only
    nearest = f"Nearest ID {'rows' if rows else 'images'}"
    st.markdown(f"**{nearest}** (fit set, by direction of the penultimate features)")
    near = receipts.nearest(view.acts[view.experiment.fit_set], acts.features[place], k=10)
    gallery.show(view, near, "nearest")
    st.caption(
        f"The number under each {'row' if rows else 'image'} is its distance, 0 (same direction) "
        "to 2."
    )


def _pictures(view: View, image: Image.Image | str, name: str) -> None:
    if isinstance(image, str):
        st.markdown(f"**{plain(name)}**")
        st.caption(plain(image) or "No picture: the experiment has features instead of images.")
        return
    spatial = [layer.name for layer in view.acts.layers if len(layer.shape) > 1]
    st.image(_png(image), caption=plain(name), width=200, alt=name)
    if not spatial:
        return
    layer = view.layer if view.layer in spatial else spatial[-1]
    try:
        maps = activation_map(view.experiment, image, layer)
    except OODLensError as error:
        st.caption(plain(error))
        return
    heat = receipts.overlay(image, receipts.heat(maps), 200)
    st.image(heat, width=200, alt=f"{name}: where {layer} is active")
    st.caption(f"Where {plain(layer)} is active: mean over channels, orange where strongest.")


def _neurons(view: View, acts: Activations, place: int) -> None:
    if "line" in view.lacking:
        _unusual(view, acts, place)
        return
    from ood_core.plots.receipts import neuron_bars

    line = view.scores("line").fitted
    assert isinstance(line, Line)
    found = image_receipt(line, view.acts.need_head(), acts.features[place])
    top = receipts.top_neurons(found.neurons)
    figures.show(
        neuron_bars(top, view.class_names[found.predicted]),
        "receipt_neurons",
        data=found.neurons,
        name="neurons",
    )
    kept = int(found.neurons["kept"].sum())
    clipped = int((found.neurons["kept"] & found.neurons["clipped"]).sum())
    st.caption(
        f"LINe masks {len(found.neurons) - kept} of {len(found.neurons)} neurons for class "
        f"{plain(view.class_names[found.routed])} and clips {clipped} of the other {kept}. "
        f"Energy {found.energy:.4g}, LINe {found.line:.4g}."
    )


def _unusual(view: View, acts: Activations, place: int) -> None:
    """What stands out in the image where nothing says which neurons speak for which class."""
    from ood_core.plots.receipts import unusual_bars

    fit = view.acts[view.experiment.fit_set]
    mean, deviation = cache.once(("moments", view.fingerprint), lambda: receipts.moments(fit))
    rows = receipts.unusual_neurons(mean, deviation, acts.features[place])
    if len(rows):
        figures.show(unusual_bars(rows), "receipt_unusual", data=rows, name="neurons")
    st.caption(
        f"{plain(view.lacking['line'])} So this is no account of a class, but of what is unusual "
        "in the image against the fit set."
    )


def _png(image: Image.Image) -> bytes:
    out = BytesIO()
    thumbnail_of(image, 200).save(out, format="PNG")
    return out.getvalue()


def downloads(
    view: View, scores: ScoreSet, table: pd.DataFrame, verdicts: pd.DataFrame, tpr: float
) -> None:
    """Everything shown as CSV and JSON, and the command that gives the same."""
    with st.container(horizontal=True):
        figures.csv_button(table, "verdicts", key="verdicts_csv")
        st.download_button(
            "JSON",
            lambda: json.dumps(receipts.records(verdicts), indent=1),
            "verdicts.json",
            key="verdicts_json",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
            help="Every detector's score, threshold, percentile and p-value for each image.",
        )
    st.caption("The same from the command line:")
    command = score_command(scores, view.experiment, f"tpr={tpr:.10g}")
    st.code(f"{command} --json IMAGE…", language="bash", wrap_lines=True)

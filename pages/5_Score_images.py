"""Score images: is it in-distribution, by how much, and why does the detector think so?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ood_core import scoring, thresholds
from ood_core.activations import Activations, embed, notes_text
from ood_core.errors import OODLensError
from ood_core.plots.distributions import histogram
from ood_core.views import receipts
from pages.components.charts import figures
from pages.components.kit import cache, frame, state
from pages.components.kit.messages import told
from pages.components.kit.plain import plain
from pages.components.score_images import intake, receipt, row_intake

if TYPE_CHECKING:
    from PIL.Image import Image

# Whether the last run drew the slider: a new one shows only a value that is assigned to it.
SLIDER = "_upload_slider"


def no_slider() -> None:
    """Note that this run stops before the slider."""
    st.session_state[SLIDER] = False


view = frame.open_page("Score images", "Is my image in-distribution, and what makes it so?")
state.publish()  # also for a page that stops early
of_rows = view.experiment.classifier.features_only
taken = row_intake.collect(view) if of_rows else None
uploads, digest = ([], taken.digest if taken else "") if of_rows else intake.collect(view)
for upload in uploads:
    if upload.error:
        st.warning(plain(upload.error), icon=":material/broken_image:")
if assumed := notes_text([(u.name, u.note) for u in uploads if u.note]):
    st.info(plain(assumed), icon=":material/info:")
images: dict[str, Image | str] = {u.name: u.image for u in uploads if u.image is not None}
images |= taken.shown if taken else {}
if not images:
    st.info(
        row_intake.EMPTY
        if of_rows
        else "Upload images, paste one, or take examples: each gets a verdict, its place among the "
        "ID images, and a receipt that says "
        + ("what stands out in it." if "line" in view.lacking else "which neurons decided."),
        icon=":material/image_search:",
    )
    no_slider()
    st.stop()


def activations() -> Activations:
    """Forward pass of the new images, once; rows of features have had theirs elsewhere."""
    if taken is not None:
        return taken.acts
    return embed(view.experiment, [u.image for u in uploads if u.image is not None], list(images))


try:
    with st.spinner("Reading …" if of_rows else "Running the images through the classifier …"):
        acts = cache.once(("embed", view.fingerprint, digest, repr(list(images))), activations)
except OODLensError as error:
    st.error(plain(error, keep="\n"), icon=":material/error:")
    no_slider()
    st.stop()

slider_was_there = st.session_state.get(SLIDER, False)
no_slider()  # the scores may not be there
with told():
    scores = view.scores()
    rate = state.number("upload_tpr", 80.0, 99.9, 95.0)
    if not slider_was_there:
        st.session_state["upload_tpr"] = rate
    st.session_state[SLIDER] = True
    state.publish()
    state.notes()
    accepted = st.slider(
        f"ID {'rows' if of_rows else 'images'} accepted, %", 80.0, 99.9, step=0.1, key="upload_tpr",
        help="Each detector's threshold accepts this share of the ID test set.",
    )  # fmt: skip
    tpr = accepted / 100
    point = thresholds.at_tpr(scores.sample(), tpr=tpr)
    found = scoring.verdicts(view.every_detector().values(), acts, view.acts.head, tpr=tpr)
    verdicts, table = receipts.table(found), receipts.wide(found, view.detector)
    rejected = int((~table["is_id"]).sum())
    st.markdown(
        f"**{len(table) - rejected} accepted as ID, {rejected} rejected as OOD** by "
        f"{cache.detector_titles()[view.detector]} at threshold {point.threshold:.5g}"
    )
    chosen = receipt.results(table, images, cache.detector_titles())
    markers = dict(zip(table["image"], table["score"], strict=True))
    reference = histogram(
        scores.summary(), {n: scores.summary(n) for n in view.ood_sets},
        threshold=point.threshold, markers=markers,
        colours={n: view.colour(n) for n in view.ood_sets},
        score_name=f"{cache.detector_titles()[view.detector]} score",
    )  # fmt: skip
    figures.show(reference, "upload_histogram", data=table, name="scores", height=300)

    st.subheader(f"Receipt: {plain(chosen)}")
    place = list(acts.ids).index(chosen)
    receipt.draw(view, acts, place, images[chosen], verdicts, scores)

    receipt.downloads(view, scores, table, verdicts, tpr)

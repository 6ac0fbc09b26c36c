"""The classifier: weights, architecture, classes."""

from __future__ import annotations

import streamlit as st

from ood_core import wizard
from ood_core.errors import OODLensError
from pages.components.kit import cache
from pages.components.kit.plain import plain
from pages.components.wizard import architecture, checkpoint, drafting, head

__all__ = ["draw"]

_SOURCES = {"file": "A checkpoint file", "published": "Published weights", "random": "Random"}


def draw() -> None:
    """Weights, architecture, classes."""
    kind = drafting.current().kind
    drafting.heading("Classifier")
    source = "file" if kind == "hub" else _source()
    if source == "file":
        checkpoint.draw()
    draft = drafting.current()
    asked = kind != "hub" and draft.checkpoint and not checkpoint.is_whole(draft)
    if source != "file" or asked:
        architecture.draw(source)
    if source == "published":
        _weights()
    if kind in ("encoder", "hub"):
        head.beside()
    draft = drafting.current()
    if not draft.headless:
        with st.expander("Classes and expected accuracy"):
            _classes()


def _source() -> str:
    draft = drafting.current()
    kept = "published" if draft.weights else "random" if draft.random_weights is not None else ""
    shown = kept or st.session_state.get("_new_source", "file")
    chosen = st.segmented_control(
        "Weights", list(_SOURCES), key=drafting.seed("new_source", shown),
        format_func=lambda s: _SOURCES[s], required=True,
    )  # fmt: skip
    chosen = chosen or shown
    if chosen != shown:
        seed = 0 if chosen == "random" else None
        drafting.change(**vars(wizard.with_weights(draft, random_weights=seed)))
    st.session_state["_new_source"] = chosen
    return str(chosen)


def _weights() -> None:
    draft = drafting.current()
    if not draft.architecture:
        return
    try:
        key = ("weight names", draft.architecture)
        names = cache.once(key, lambda: wizard.weight_names(draft.architecture))
    except OODLensError as error:
        st.error(plain(error, keep="\n"), icon=":material/error:")
        return
    value = draft.weights or (names[-1] if names else None)
    st.selectbox("Published weights", names, key=drafting.seed("new_weights", value))
    drafting.change(weights=st.session_state["new_weights"] or "")


def _classes() -> None:
    draft = drafting.current()
    left, right = st.columns(2)
    number = draft.num_classes
    if number != 0:  # else they are those of a head beside the network
        number = left.number_input(
            "Number of classes", 0, value=None, key=drafting.seed("new_num_classes", number),
            help="Empty: from the weights, or from the class folders. 0: a network without a head.",
        )  # fmt: skip
    expected = right.number_input(
        "Expected ID accuracy, %", 0.0, 100.0, None, step=0.1,
        key=drafting.seed("new_expected", _percent(draft.expected_accuracy)),
        help="What the network reached on this test set; the checks hold it against it.",
    )  # fmt: skip
    names = st.text_input(
        "Class names, in the network's order",
        key=drafting.seed("new_class_names", ", ".join(draft.class_names)),
        placeholder="cat, dog, horse; empty: the sorted class folders of the fit images",
    )
    chosen = tuple(n.strip() for n in (names or "").split(",") if n.strip())
    share = None if expected is None else expected / 100
    if (number, share, chosen) != (draft.num_classes, draft.expected_accuracy, draft.class_names):
        drafting.change(num_classes=number, expected_accuracy=share, class_names=chosen)


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 4)

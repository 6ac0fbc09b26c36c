"""How images become the network's input: proposals, own values, a measurement."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import streamlit as st

from ood_core import wizard
from ood_core.errors import OODLensError
from ood_core.experiments import Preprocessing
from ood_core.experiments.network_formats import NETWORK_FORMATS
from ood_core.experiments.parsing import LARGEST_SIDE, parse_preprocessing
from pages.components.kit import cache, jobs
from pages.components.kit.plain import plain
from pages.components.wizard import drafting

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

__all__ = ["draw"]

_VALUES = ("new_resize", "new_crop", "new_method", "new_mode", "new_mean", "new_std")
_METHODS = ("nearest", "bilinear", "bicubic", "box", "lanczos")


def draw() -> None:
    """Preprocessing of the draft."""
    draft = drafting.current()
    drafting.heading("Preprocessing")
    if not draft.architecture:
        st.caption("Known once the architecture is.")
        return
    proposals = _proposals(draft)
    labels = [p.label for p in proposals]
    by_value = {p.preprocessing: p.label for p in proposals}
    shown = by_value.get(draft.preprocessing or proposals[0].preprocessing, "my own values")
    chosen = st.selectbox(
        "Preprocessing", [*labels, "my own values"], key=drafting.seed("new_preprocessing", shown),
        label_visibility="collapsed",
    )  # fmt: skip
    if chosen != shown and chosen in labels:
        drafting.change(preprocessing=proposals[labels.index(chosen)].preprocessing)
    if chosen != shown and chosen not in labels:
        drafting.hold("new_preprocessing")
        st.session_state["new_values"] = True
    st.session_state.setdefault("new_values", chosen not in labels)
    with st.expander("Values", key="new_values", on_change="rerun"):
        _values(drafting.current().preprocessing or proposals[0].preprocessing)
    if len(proposals) > 1 and not draft.headless:  # without classes nothing is right
        _measure(drafting.current(), proposals[0].preprocessing)


def _proposals(draft: wizard.Draft) -> tuple[wizard.Proposal, ...]:
    mode = draft.preprocessing.mode if draft.preprocessing else ""
    source = draft.checkpoint if draft.architecture in NETWORK_FORMATS else draft.weights
    key = ("proposals", draft.architecture, source, draft.num_classes, mode)
    return cache.once(key, lambda: wizard.preprocessings(draft))


def _values(p: Preprocessing) -> None:
    a, b, c, d = st.columns(4)
    values: dict[str, str | int | list[float] | list[int] | None] = {
        "resize": _resize(a, p.resize),
        "center_crop": _side(b, "Centre crop", "new_crop", p.center_crop),
        "interpolation": c.selectbox(
            "Interpolation", _METHODS, key=drafting.seed("new_method", p.interpolation)
        ),
        "mode": d.selectbox("Colours", ("RGB", "L"), key=drafting.seed("new_mode", p.mode)),
    }
    a, b = st.columns(2)
    for column, field in ((a, "mean"), (b, "std")):
        shown = ", ".join(map(repr, getattr(p, field)))
        typed = column.text_input(field.capitalize(), key=drafting.seed(f"new_{field}", shown))
        try:
            values[field] = [float(part) for part in (typed or "").split(",")]
        except ValueError:
            drafting.hold(*_VALUES)
            st.error(plain(f"{field} must be numbers with commas between them, got {typed!r}."))
            return
    try:
        chosen = parse_preprocessing({k: v for k, v in values.items() if v is not None}, "Values")
    except OODLensError as error:
        drafting.hold(*_VALUES)
        st.error(f"{plain(error)} The last usable values are kept.", icon=":material/error:")
        return
    if chosen != p:
        drafting.change(preprocessing=chosen)


def _resize(column: DeltaGenerator, value: int | tuple[int, int] | None) -> int | list[int] | None:
    """The shorter side, or both sides of what is resized to a square whatever its shape."""
    if value is None or isinstance(value, int):
        return _side(column, "Shorter side", "new_resize", value)
    if value[0] != value[1]:
        column.caption(f"Resized to {value[0]} x {value[1]}.")
        return list(value)
    side = _side(column, "Both sides", "new_resize_both", value[0])
    return None if side is None else [side, side]


def _side(column: DeltaGenerator, label: str, key: str, value: int | None) -> int | None:
    """Pixels, or None where the field is empty."""
    side: int | None = column.number_input(
        label, 1, LARGEST_SIDE, None, key=drafting.seed(key, value),
        help=f"1 to {LARGEST_SIDE} pixels; empty: left as it is.",
    )  # fmt: skip
    return side


def _measure(draft: wizard.Draft, default: Preprocessing) -> None:
    """Accuracy with each proposal, on request; `default` is what a draft without one has."""
    bare = dataclasses.replace(draft, preprocessing=None)
    key = ("measure", repr(bare))
    asked = st.session_state.get("_new_measured")
    if asked != key:
        st.button(
            "Measure which one fits", key="new_measure", icon=":material/straighten:",
            on_click=_ask, args=(key,),
            help="Accuracy on 100 labelled ID test images with each proposal: a wrong mean or std "
            "costs points.",
        )  # fmt: skip
        return
    ranked = jobs.result(key, lambda *_: wizard.measure(bare), "Measuring on ID test images …")
    for place, m in enumerate(ranked or ()):
        with st.container(horizontal=True, vertical_alignment="center"):
            share = f"**{100 * m.accuracy:.0f} %**" if place == 0 else f"{100 * m.accuracy:.0f} %"
            st.markdown(f"{share} of {m.images} right with {plain(m.proposal.label)}")
            if place == 0 and m.proposal.preprocessing != (draft.preprocessing or default):
                st.button("Use it", key="new_measured_use", on_click=drafting.change,
                          kwargs={"preprocessing": m.proposal.preprocessing})  # fmt: skip


def _ask(key: tuple[str, str]) -> None:
    st.session_state["_new_measured"] = key

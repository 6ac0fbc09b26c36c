"""Heads in files of their own, for features that are there already and for encoders."""

from __future__ import annotations

import streamlit as st

from ood_core import wizard
from pages.components.wizard import drafting

__all__ = ["beside", "draw"]

_NONE = ""
_HEADS = {_NONE: "None", "head": "A linear probe", "text": "Text embeddings"}
_LINEAR = (
    "An .npz, safetensors or torch.save file with an array weight (classes, features) and, where "
    "it has one, bias (classes)."
)
_TEXT = (
    "An .npz, safetensors or torch.save file with an array embeddings (classes, features) and, "
    "where you like, names (classes): zero-shot classification, as CLIP does it."
)


def draw() -> None:
    """What makes of features a classifier, all of it optional."""
    drafting.heading("Head and classes")
    st.caption("Optional: with a head, or logits in the files, every score can be computed.")
    head = drafting.current().head
    typed = drafting.path(
        "Head: a file with weight and bias", "new_head", head, _found(),
        placeholder="A path such as head.npz",
        help=f"The last linear layer. {_LINEAR}",
    )  # fmt: skip
    if typed != head:
        drafting.change(head=typed)
    shown = drafting.current().class_names
    names = st.text_input(
        "Class names, in the order of their numbers",
        key=drafting.seed("new_class_names", ", ".join(shown)), placeholder="cat, dog, horse",
    )  # fmt: skip
    chosen = tuple(n.strip() for n in (names or "").split(",") if n.strip())
    if chosen != shown:
        drafting.change(class_names=chosen)


def beside() -> None:
    """A head that an encoder gets, if any: then its images have classes after all."""
    draft = drafting.current()
    kept = "text" if draft.text else "head" if draft.head else _NONE
    shown = kept or st.session_state.get("_new_head_kind", _NONE)
    chosen = st.segmented_control(
        "A head for it" if draft.kind == "encoder" else "Another head for it", list(_HEADS),
        key=drafting.seed("new_head_kind", shown), format_func=lambda k: _HEADS[k], required=True,
        help="With one, the scores that need classes can be computed.",
    )  # fmt: skip
    st.session_state["_new_head_kind"] = chosen
    if chosen != shown and kept:
        drafting.change(**vars(wizard.with_head(draft)))
    if chosen:
        _file(str(chosen))


def _file(kind: str) -> None:
    """The file of a linear probe or of text embeddings."""
    draft = drafting.current()
    label = "Linear probe: a file with weight and bias"
    label = label if kind == "head" else "Text embeddings: a file with one a class"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        path = drafting.path(
            label, f"new_{kind}", getattr(draft, kind), (),
            placeholder=f"A path such as {'probe' if kind == 'head' else 'classes'}.npz",
            help=_LINEAR if kind == "head" else _TEXT,
        )  # fmt: skip
        path = drafting.upload("Head", f"new_{kind}_upload") or path
        temperature = _temperature() if kind == "text" and path else None
    if (path, temperature) != (getattr(draft, kind), draft.temperature):
        given = {kind: path}
        drafting.change(**vars(wizard.with_head(draft, **given, temperature=temperature)))


def _temperature() -> float | None:
    value: float | None = st.number_input(
        "Temperature", 0.0001, 100.0, None, step=0.01, format="%g",
        key=drafting.seed("new_temperature", drafting.current().temperature),
        placeholder="0.01", width=140,
        help="Cosines are divided by it. Empty: the one that the network was trained with where "
        "it is in its folder, else 0.01.",
    )  # fmt: skip
    return value


def _found() -> list[str]:
    head = drafting.found().head
    return [head] if head else []

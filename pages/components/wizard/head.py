"""Head and class names of features that are there already."""

from __future__ import annotations

import streamlit as st

from pages.components.wizard import drafting

__all__ = ["draw"]


def draw() -> None:
    """What makes of features a classifier, all of it optional."""
    drafting.heading("Head and classes")
    st.caption("Optional: with a head, or logits in the files, every score can be computed.")
    head = drafting.current().head
    typed = drafting.path(
        "Head: a file with weight and bias", "new_head", head, _found(),
        placeholder="A path such as head.npz",
        help="The last linear layer: an array weight (classes, features) and, where it has one, "
        "bias (classes).",
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


def _found() -> list[str]:
    head = drafting.found().head
    return [head] if head else []

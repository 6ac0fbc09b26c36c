"""What the user has to begin with: everything else that is asked for follows from it."""

from __future__ import annotations

import streamlit as st

from ood_core import wizard
from pages.components.wizard import drafting

__all__ = ["draw"]

_SAYS = {
    "network": "A classifier's weights or a file that holds all of it, and images.",
    "features": "Arrays that you computed yourself, of anything: no network and no images.",
    "encoder": "A network whose output is features: trained without labels, or its head cut off.",
    "hub": "A folder with a config.json, as Hugging Face and timm save networks, and images.",
}


def draw() -> None:
    """One choice of four; what was chosen before and still applies is kept."""
    draft = drafting.current()
    chosen = st.segmented_control(
        "What do you have?", list(wizard.KINDS), key=drafting.seed("new_kind", draft.kind),
        format_func=lambda kind: wizard.KINDS[kind], required=True,
    )  # fmt: skip
    if chosen and chosen != draft.kind:
        drafting.forget("_new_head_kind")
        drafting.change(**vars(wizard.with_kind(draft, chosen)))
    st.caption(_SAYS[drafting.current().kind])

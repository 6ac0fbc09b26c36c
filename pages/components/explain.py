"""Plain words, the paper's equation and its reference behind an icon."""

from __future__ import annotations

import streamlit as st

__all__ = ["METRICS", "metric", "score", "words"]

METRICS = {
    "AUROC": "The chance that a random ID image scores higher than a random OOD image; ties count "
    "half. 50 % is a coin, 100 % is perfect. It needs no threshold.",
    "FPR95": "ID is the positive class: the threshold accepts 95 % of the ID images, and FPR95 is "
    "the share of OOD images that it accepts too. Lower is better.",
    "interval": "95 % interval: where the number would fall for other images of the same kind.",
}


def score(detector: str, params: dict[str, object] | None = None) -> None:
    """Popover that explains a detector: one sentence, equation, parameters, paper."""
    from ood_core.detectors import all_detectors

    known = all_detectors()
    with st.popover("", icon=":material/help:", type="tertiary", help="What this score means"):
        for name in detector.split("+"):
            if name not in known:
                continue
            d = known[name]
            st.markdown(f"**{d.title}**")
            st.write(d.summary)
            st.latex(d.equation)
            st.caption(d.reference)
        if params:
            st.caption("Parameters: " + ", ".join(f"{k} = {v}" for k, v in params.items()))
        st.caption("Every score here: higher means more in-distribution.")


def metric(*names: str) -> None:
    """Popover that explains metrics by name (`METRICS`)."""
    with st.popover("", icon=":material/help:", type="tertiary", help="What these numbers mean"):
        for name in names:
            st.markdown(f"**{name}.** {METRICS[name]}")


def words(text: str, *, equation: str | None = None) -> None:
    """Popover with an explanation of your own."""
    with st.popover("", icon=":material/help:", type="tertiary", help="Explanation"):
        st.write(text)
        if equation:
            st.latex(equation)

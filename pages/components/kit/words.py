"""Plain words, the paper's equation and its reference behind an icon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from ood_core.detectors import all_detectors
from ood_core.scoring import NO_OOD
from pages.components.kit.plain import plain

__all__ = ["METRICS", "metric", "nothing_to_tell_apart", "score", "warnings", "words"]

METRICS = {
    "AUROC": "The chance that a random ID image scores higher than a random OOD image; ties count "
    "half. 50 % is a coin, 100 % is perfect. It needs no threshold.",
    "FPR95": "ID is the positive class: the threshold accepts 95 % of the ID images, and FPR95 is "
    "the share of OOD images that it accepts too. Lower is better.",
    "interval": "95 % interval: where the number would fall for other images of the same kind.",
}


def nothing_to_tell_apart(ood_sets: Sequence[str]) -> bool:
    """Whether the experiment has no OOD set; says so in place of what needs one."""
    if not ood_sets:
        st.info(plain(NO_OOD), icon=":material/info:")
    return not ood_sets


def score(detector: str, params: Mapping[str, object] | None = None) -> None:
    """Popover that explains a detector: one sentence, equation, parameters, paper."""
    known = all_detectors()
    parts = []
    for name in [detector] if detector in known else detector.split("+"):
        if name in known:
            d = known[name]
            parts += [
                f"**{d.title}**",
                d.summary,
                f"$$\n{d.equation}\n$$",
                f":small[{d.reference}]",
            ]
    if params:
        parts.append("Parameters: " + ", ".join(f"`{k} = {v}`" for k, v in params.items()))
    parts.append("Every score here: higher means more in-distribution.")
    _popover("What this score means", parts)


def metric(*names: str) -> None:
    """Popover that explains metrics by name (`METRICS`)."""
    _popover("What these numbers mean", [f"**{name}.** {METRICS[name]}" for name in names])


def warnings(sentences: Sequence[str]) -> None:
    """What a detector or a metric warns of: a line for one, a list to unfold for more."""
    if len(sentences) == 1:
        st.caption(f":material/warning: {plain(sentences[0])}")
    elif sentences:
        title = f"{len(sentences)} warnings about these scores"
        with st.expander(title, icon=":material/warning:"):
            st.markdown("\n".join(f"- {plain(sentence)}" for sentence in sentences))


def words(text: str, *, equation: str | None = None) -> None:
    """Popover with an explanation of your own."""
    _popover("Explanation", [text] + ([f"$$\n{equation}\n$$"] if equation else []))


def _popover(title: str, parts: list[str]) -> None:
    """One element, whatever it says: a page has many of these."""
    with st.popover("", icon=":material/help:", type="tertiary", help=title):
        st.markdown("\n\n".join(parts))

"""One image before and after LINe: which neurons survive, which are clipped, what the logits do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ood_core.detectors.line import Line
from ood_core.errors import DataError
from ood_core.models import ClassifierHead
from ood_core.runtime.names import in_markdown

__all__ = ["ImageReceipt", "image_receipt", "summary_of_receipt"]


@dataclass(frozen=True, eq=False)
class ImageReceipt:
    """What LINe does to one image, neuron by neuron.

    Attributes
    ----------
    predicted : class of the plain logits.
    routed : class whose masks LINe uses: argmax of the logits of the clipped features.
    energy, line : log-sum-exp of the logits before and after; higher = more ID.
    neurons : one row per neuron, columns `neuron, activation, clipped_to, clipped, kept,
        weights_kept, before, after`; `weights_kept` counts classes whose weight survives,
        `before` and `after` are contributions to the logit of `routed`.
    logits : one row per class, columns `class, before, clipped, after`.
    """

    predicted: int
    routed: int
    energy: float
    line: float
    neurons: pd.DataFrame
    logits: pd.DataFrame


def image_receipt(line: Line, head: ClassifierHead, features: np.ndarray) -> ImageReceipt:
    """Take LINe's score of one image apart.

        hc = min(h, δ),   c = argmax(hc Wᵀ + b),   z' = (hc ⊙ ma) (W ⊙ mw)ᵀ + b

    Parameters
    ----------
    line : fitted LINe.
    head : the head that it was fitted with.
    features : (d,) penultimate features of the image.

    Raises
    ------
    DataError
        When the image has another number of features.
    """
    h = _one_row(features, head)
    clipped = np.minimum(h, line.clip)
    plain, cut = head.logits(h[None])[0], head.logits(clipped[None])[0]
    c = int(cut.argmax())
    units, weights = line.masks(c)
    routed = head.weight * weights * np.where(units, clipped, 0.0)
    after = routed.sum(1) + head.bias
    neurons = pd.DataFrame(
        {
            "neuron": np.arange(len(h)),
            "activation": h,
            "clipped_to": clipped,
            "clipped": h > line.clip,
            "kept": np.asarray(units, bool),
            "weights_kept": np.asarray(weights, bool).sum(0),
            "before": head.weight[c] * h,
            "after": routed[c],
        }
    )
    logits = pd.DataFrame({"class": list(head.names), "before": plain, "clipped": cut})
    return ImageReceipt(
        predicted=int(plain.argmax()),
        routed=c,
        energy=_lse(plain),
        line=_lse(after),
        neurons=neurons,
        logits=logits.assign(after=after),
    )


def summary_of_receipt(receipt: ImageReceipt, names: Sequence[str]) -> str:
    """Two sentences in Markdown: what LINe did to the image and what became of its score."""
    n = receipt.neurons
    active = n["activation"] > 0
    kept = active & n["kept"]
    clipped = int((kept & n["clipped"]).sum())
    weights = n["weights_kept"].sum() / (len(n) * len(names))
    other = (
        f", predicted as **{in_markdown(names[receipt.routed])}** once clipped"
        if receipt.routed != receipt.predicted
        else ""
    )
    return (
        f"Predicted as **{in_markdown(names[receipt.predicted])}**{other}. Of "
        f"{int(active.sum()):,} active neurons **{int(kept.sum()):,}** survive pruning, "
        f"**{clipped:,}** of them clipped; {100 * weights:.1f} % of the head's weights stay. "
        f"Energy {receipt.energy:.3f} becomes LINe score **{receipt.line:.3f}**."
    )


def _one_row(features: np.ndarray, head: ClassifierHead) -> np.ndarray:
    h = np.asarray(features, np.float64)
    if h.shape != (head.n_features,):
        raise DataError(f"one image has {head.n_features} features, got an array {h.shape}.")
    return h


def _lse(logits: np.ndarray) -> float:
    top = logits.max()
    return float(top + np.log(np.exp(logits - top).sum()))

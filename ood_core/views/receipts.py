"""What the receipt of a new image shows: verdicts as tables, its neighbours, where it is active."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image as Pictures

from ood_core.activations import Activations
from ood_core.detectors import canonical_name, detector_class
from ood_core.errors import DataError
from ood_core.scoring.new_images import Verdicts

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "agreement",
    "heat",
    "moments",
    "nearest",
    "overlay",
    "records",
    "table",
    "top_neurons",
    "unusual_neurons",
    "wide",
]


def table(found: Iterable[Verdicts]) -> pd.DataFrame:
    """Verdicts of every detector below each other, one row per image and detector.

    Columns: `image, detector, score, threshold, is_id, id_percentile, p_value`, each as in
    `Verdicts`.
    """
    parts = [
        pd.DataFrame(
            {
                "image": v.images,
                "detector": v.detector,
                "score": v.score,
                "threshold": v.threshold,
                "is_id": v.is_id,
                "id_percentile": v.id_percentile,
                "p_value": v.p_value,
            }
        )
        for v in found
    ]
    return pd.concat(parts, ignore_index=True)


def wide(found: Sequence[Verdicts], detector: str) -> pd.DataFrame:
    """One row per image: prediction, the chosen detector's numbers, every detector's verdict.

    Columns: `image, prediction, probability, score, is_id, id_percentile, p_value, rejected_by`
    (how many detectors reject it), then one bool column per detector. Without classes the first
    has neither `prediction` nor `probability`.
    """
    own = next(v for v in found if v.detector == canonical_name(detector))
    columns: dict[str, Any] = {"image": own.images}
    if own.predictions is not None:
        columns |= {"prediction": own.predictions, "probability": own.probability}
    columns |= {
        "score": own.score,
        "is_id": own.is_id,
        "id_percentile": own.id_percentile,
        "p_value": own.p_value,
        "rejected_by": np.sum([~v.is_id for v in found], axis=0),
    }
    return pd.DataFrame(columns | {f"accepts_{v.detector}": v.is_id for v in found})


def agreement(verdicts: pd.DataFrame, image: str) -> str:
    """One sentence: how many detectors accept the image, and which do not agree with most."""
    rows = verdicts[verdicts["image"] == image]
    accept = rows.loc[rows["is_id"], "detector"].tolist()
    reject = rows.loc[~rows["is_id"], "detector"].tolist()
    if not accept or not reject:
        what = "accept it as ID" if accept else "reject it as OOD"
        return f"All {len(rows)} detectors {what}."
    fewer, verb = (reject, "Rejected") if len(reject) <= len(accept) else (accept, "Accepted")
    names = ", ".join(detector_class(name).title for name in fewer)
    return f"{len(accept)} of {len(rows)} detectors accept it as ID. {verb} only by {names}."


def nearest(reference: Activations, features: np.ndarray, k: int = 6) -> pd.DataFrame:
    """The k images of a set whose features point in the most similar direction.

    Equation: distance `‖ĥ − ĥ_i‖₂` between unit vectors, as in KNN (arXiv 2204.06507).

    Parameters
    ----------
    reference : activations of the set to look in.
    features : (d,) penultimate features of one image.
    k : how many, at most the size of the set.

    Returns
    -------
    DataFrame with columns `set`, `index`, `score` (the distance, 0 to 2), nearest first.
    """
    h = np.asarray(features, np.float64)
    if h.shape != (reference.features.shape[1],):
        raise DataError(
            f"one image has {reference.features.shape[1]} features here, got an array {h.shape}."
        )
    unit = h / (np.linalg.norm(h) + 1e-10)
    found = []
    for part in reference.chunks(8192):
        rows = np.asarray(part.features, np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-10
        found.append(np.linalg.norm(rows - unit, axis=1))
    distance = np.concatenate(found)
    order = np.argsort(distance, kind="stable")[:k]
    return pd.DataFrame({"set": reference.name, "index": order, "score": distance[order]})


def top_neurons(neurons: pd.DataFrame, most: int = 16) -> pd.DataFrame:
    """The neurons that matter most to the predicted class, largest |contribution| first.

    `neurons` comes from `neurons.image_receipt`; a column `state` is added: "kept", "clipped"
    (kept, activation cut at the clip) or "masked" (pruned by LINe).
    """
    order = neurons["before"].abs().sort_values(ascending=False, kind="stable").index[:most]
    rows = neurons.loc[order].copy()
    rows["state"] = np.where(~rows["kept"], "masked", np.where(rows["clipped"], "clipped", "kept"))
    return rows


def moments(reference: Activations) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each penultimate neuron over a set, (d,) float64 each."""
    h, n = reference.features, max(len(reference), 1)
    starts = range(0, len(h), 8192)
    mean = np.sum([h[s : s + 8192].sum(0, dtype=np.float64) for s in starts], axis=0) / n
    square = [((h[s : s + 8192] - mean) ** 2).sum(0) for s in starts]
    return np.asarray(mean), np.asarray(np.sqrt(np.sum(square, axis=0) / n))


def unusual_neurons(
    mean: np.ndarray, deviation: np.ndarray, features: np.ndarray, most: int = 16
) -> pd.DataFrame:
    """The neurons in which an image lies farthest from a set, the farthest first.

        u_j = (h_j − mean_j) / deviation_j

    Parameters
    ----------
    mean, deviation : (d,) each, from `moments`; neurons that never change in the set are left out.
    features : (d,) penultimate features of the image.

    Returns
    -------
    DataFrame with columns `neuron, activation, mean, deviation, unusual` (u).
    """
    h = np.asarray(features, np.float64)
    live = np.flatnonzero(deviation > 1e-6 * np.maximum(np.abs(mean), 1e-12))
    unusual = (h[live] - mean[live]) / deviation[live]
    order = np.argsort(-np.abs(unusual), kind="stable")[:most]
    rows = live[order]
    return pd.DataFrame(
        {
            "neuron": rows,
            "activation": h[rows],
            "mean": mean[rows],
            "deviation": deviation[rows],
            "unusual": unusual[order],
        }
    )


def heat(activation: np.ndarray) -> np.ndarray:
    """Mean over channels of the positive part of an activation map, scaled to [0, 1].

    (c, h, w) -> (h, w). All zeros stay zeros: nothing is active.
    """
    mean = np.maximum(np.asarray(activation, np.float64), 0).mean(0)
    top = float(mean.max())
    return mean / top if top > 0 and math.isfinite(top) else np.zeros_like(mean)


def overlay(image: Image.Image, heatmap: np.ndarray, size: int = 224) -> Image.Image:
    """Heat laid over the image, both scaled to `size` pixels on the longer side.

    The picture is darkened where nothing is active and keeps its own colours where much is, so
    that no colour map hides it.
    """
    scale = size / max(image.size)
    shape = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    enlarged = Pictures.Resampling.NEAREST if scale > 2 else Pictures.Resampling.BILINEAR
    base = np.asarray(image.convert("RGB").resize(shape, enlarged), np.float64)
    mask = Pictures.fromarray((255 * np.clip(heatmap, 0, 1)).astype(np.uint8))
    weight = np.asarray(mask.resize(shape, Pictures.Resampling.BILINEAR), np.float64)[..., None]
    tint = np.array([213.0, 94.0, 0.0])
    alpha = 0.75 * weight / 255
    mixed = base * (0.35 + 0.65 * (1 - alpha)) * (1 - alpha) + tint * alpha
    return Pictures.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain Python values for JSON; -inf, which JSON lacks, becomes None."""
    plain = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return [
        {
            str(k): None if isinstance(v, float) and not math.isfinite(v) else v
            for k, v in row.items()
        }
        for row in plain
    ]

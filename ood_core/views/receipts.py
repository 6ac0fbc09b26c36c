"""A receipt for each new image: every detector's verdict, its neighbours, where it is active."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ood_core.activations import Activations
from ood_core.detectors import by_canonical_name, canonical_name
from ood_core.errors import DataError
from ood_core.scoring.score_set import ScoreSet, score_rows
from ood_core.thresholds import at_tpr, conformal_p_values

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "agreement",
    "heat",
    "judge",
    "nearest",
    "overlay",
    "predictions",
    "records",
    "top_neurons",
    "wide",
]


def predictions(acts: Activations, names: Sequence[str]) -> pd.DataFrame:
    """Predicted class name and its softmax probability of each image.

    Returns
    -------
    DataFrame with columns `image`, `prediction`, `probability` (0 to 1).

    Raises
    ------
    DataError
        When the activations hold no logits.
    """
    if acts.logits is None:
        raise DataError("predictions need logits, and these activations have none.")
    z = np.asarray(acts.logits, np.float64)
    best = z.argmax(1)
    rows = np.arange(len(z))
    probability = 1 / np.exp(z - z[rows, best][:, None]).sum(1)
    return pd.DataFrame(
        {"image": acts.ids, "prediction": [names[c] for c in best], "probability": probability}
    )


def judge(
    score_sets: Iterable[ScoreSet],
    acts: Activations,
    *,
    tpr: float = 0.95,
    thresholds: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Verdict of every detector on every new image.

    Parameters
    ----------
    score_sets : fitted detectors with their scores of the ID test set.
    acts : the new images.
    tpr : share of the ID test set that each detector's threshold accepts.
    thresholds : detector -> threshold, where one was chosen otherwise.

    Returns
    -------
    DataFrame, one row per image and detector: `image`, `detector`, `score`, `threshold`, `is_id`
    (score >= threshold), `id_percentile` (share of the ID test set that scores no higher, in
    percent), `p_value` (conformal: (1 + #{ID <= score}) / (n + 1); at most α of new ID images
    have p <= α).
    """
    chosen = by_canonical_name(thresholds or {})
    parts = []
    for scores in score_sets:
        found = score_rows(scores.fitted, acts)
        threshold = chosen.get(scores.detector)
        if threshold is None:
            threshold = at_tpr(scores.summary(), tpr=tpr).threshold
        parts.append(
            pd.DataFrame(
                {
                    "image": acts.ids,
                    "detector": scores.detector,
                    "score": found,
                    "threshold": threshold,
                    "is_id": found >= threshold,
                    "id_percentile": scores.summary().percentile_of(found),
                    "p_value": conformal_p_values(scores.summary(), found),
                }
            )
        )
    if not parts:
        raise DataError("judge needs at least one detector.")
    return pd.concat(parts, ignore_index=True)


def wide(verdicts: pd.DataFrame, predicted: pd.DataFrame, detector: str) -> pd.DataFrame:
    """One row per image: prediction, the chosen detector's numbers, every detector's verdict.

    Columns: `image, prediction, probability, score, id_percentile, p_value, is_id, rejected_by`
    (how many detectors reject it), then one bool column per detector.
    """
    own = verdicts[verdicts["detector"] == canonical_name(detector)].drop(
        columns=["detector", "threshold"]
    )
    table = predicted.merge(own, on="image", validate="one_to_one")
    each = verdicts.pivot(index="image", columns="detector", values="is_id")
    each = each[list(dict.fromkeys(verdicts["detector"]))].astype(bool)
    rejected = (~each).sum(axis=1)
    table = table.merge(rejected.rename("rejected_by"), left_on="image", right_index=True)
    return table.merge(each.add_prefix("accepts_"), left_on="image", right_index=True)


def agreement(verdicts: pd.DataFrame, image: str) -> str:
    """One sentence: how many detectors accept the image, and which do not agree with most."""
    rows = verdicts[verdicts["image"] == image]
    accept = rows.loc[rows["is_id"], "detector"].tolist()
    reject = rows.loc[~rows["is_id"], "detector"].tolist()
    if not accept or not reject:
        what = "accept it as ID" if accept else "reject it as OOD"
        return f"All {len(rows)} detectors {what}."
    fewer, verb = (reject, "Rejected") if len(reject) <= len(accept) else (accept, "Accepted")
    names = ", ".join(fewer)
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
    from PIL import Image as Pictures

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


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain Python values for JSON; -inf, which JSON lacks, becomes None."""
    plain = table.astype(object).where(table.notna(), None).to_dict("records")
    return [
        {
            str(k): None if isinstance(v, float) and not math.isfinite(v) else v
            for k, v in row.items()
        }
        for row in plain
    ]

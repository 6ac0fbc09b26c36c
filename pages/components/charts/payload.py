"""What the browser gets of a score set, made once: bins, cumulative counts, thinned curves.

None of it grows with the number of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ood_core import metrics
from ood_core.metrics.histograms import bin_scores, cumulative_counts
from ood_core.plots.theme import OOD_COLOURS
from pages.components.kit import cache
from pages.components.kit.view import View

if TYPE_CHECKING:
    from ood_core.metrics.histograms import Bins
    from ood_core.scoring import ScoreSet
    from ood_core.thresholds import Sample
    from pages.components.kit.assets import JsonObject

__all__ = ["Payload", "of"]

HEIGHT = 310
BINS = 96
VERTICES = 160


@dataclass(frozen=True)
class Payload:
    """Fixed parts of the components' data.

    Attributes
    ----------
    ends : lowest and highest threshold that the line can take.
    histogram, curves : for `threshold.histogram` and `threshold.curves`.
    """

    ends: tuple[float, float]
    histogram: JsonObject
    curves: JsonObject


def of(view: View, scores: ScoreSet) -> Payload:
    """Payload of these scores, from the cache."""
    key = ("payload", scores.key, tuple(scores.ood))
    return cache.once(key, lambda: _make(view, scores))


def _make(view: View, scores: ScoreSet) -> Payload:
    sample = scores.sample()
    bins = bin_scores(sample.id, sample.ood, BINS, scores.id_name)
    title = cache.detector_titles().get(scores.detector, scores.detector)
    common: JsonObject = {
        "channel": "scores",
        "height": HEIGHT,
        "name": f"{scores.detector}-scores",
    }
    grid, sets = _sets(view, scores, bins)
    histogram: JsonObject = {
        **common,
        "id": f"{scores.key}/{','.join(scores.ood)}",
        "x_title": f"{title} score (higher = more in-distribution)",
        "alt": f"Histogram of {title} scores: {', '.join(str(s['name']) for s in sets)}",
        "note": bins.note,
        "underflow": bins.underflow,
        "overflow": bins.overflow,
        "edges": bins.edges.tolist(),
        "pooled_colour": OOD_COLOURS[0],
        "grid": grid,
        "sets": sets,
    }
    curves: JsonObject = {
        **common,
        "sets": [{k: s[k] for k in ("name", "colour", "n", "id")} for s in sets],
        **_curves(sample),
    }
    return Payload((float(bins.edges[0]), float(bins.edges[-1])), histogram, curves)


def _sets(view: View, scores: ScoreSet, bins: Bins) -> tuple[list[float], list[JsonObject]]:
    """Grid of thresholds, and per set its bins and how many of it each threshold accepts."""
    sample = scores.sample()
    sets = {scores.id_name: sample.id, **sample.ood}
    counts = cumulative_counts(sets, bins)
    described: list[JsonObject] = [
        {
            "name": view.label(name),
            "colour": view.colour(name),
            "n": len(summary),
            "id": name == scores.id_name,
            "bins": bins.counts[name].tolist(),
            "accepted": counts.accepted[name].tolist(),
        }
        for name, summary in sets.items()
    ]
    return counts.thresholds.tolist(), described


def _curves(sample: Sample) -> JsonObject:
    """Exact vertices in percent to three decimals, and the areas under them, per OOD set."""
    curves: dict[str, list[dict[str, list[float]]]] = {"roc": [], "pr_id": [], "pr_ood": []}
    areas: dict[str, list[str]] = {"roc": [], "pr_id": [], "pr_ood": []}
    for ood in sample.ood.values():
        roc = metrics.roc_curve(sample.id, ood, VERTICES)
        x, y = (100 * roc.fpr).round(3).tolist(), (100 * roc.tpr).round(3).tolist()
        curves["roc"].append({"x": x, "y": y})
        areas["roc"].append(f"{100 * metrics.auroc(sample.id, ood):.2f}")
        for positive, area in (("id", metrics.aupr_in), ("ood", metrics.aupr_out)):
            pr = metrics.pr_curve(sample.id, ood, VERTICES, positive)
            x, y = (100 * pr.recall).round(3).tolist(), (100 * pr.precision).round(3).tolist()
            curves[f"pr_{positive}"].append({"x": x, "y": y})
            areas[f"pr_{positive}"].append(f"{100 * area(sample.id, ood):.2f}")
    return {"curves": curves, "areas": areas}

"""What the browser gets of a score set, made once: bins, cumulative counts, thinned curves.

None of it grows with the number of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pages.components.kit import cache
from pages.components.kit.view import View

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
    histogram: dict[str, Any]
    curves: dict[str, Any]


def of(view: View, scores: Any) -> Payload:
    """Payload of these scores, from the cache."""
    key = ("payload", scores.key, tuple(scores.ood))
    return cache.once(key, lambda: _make(view, scores))


def _make(view: View, scores: Any) -> Payload:
    from ood_core.metrics.histograms import bin_scores
    from ood_core.plots.theme import OOD_COLOURS

    sample = scores.sample()
    bins = bin_scores(sample.id, sample.ood, BINS, scores.id_name)
    title = cache.detector_titles().get(scores.detector, scores.detector)
    common = {"channel": "scores", "height": HEIGHT, "name": f"{scores.detector}-scores"}
    sets = _sets(view, scores, bins)
    histogram = common | {
        "id": f"{scores.key}/{','.join(scores.ood)}",
        "x_title": f"{title} score (higher = more in-distribution)",
        "alt": f"Histogram of {title} scores: {', '.join(s['name'] for s in sets['sets'])}",
        "note": bins.note,
        "underflow": bins.underflow,
        "overflow": bins.overflow,
        "edges": bins.edges.tolist(),
        "pooled_colour": OOD_COLOURS[0],
        **sets,
    }
    curves = common | {
        "sets": [{k: s[k] for k in ("name", "colour", "n", "id")} for s in sets["sets"]],
        **_curves(sample),
    }
    return Payload((float(bins.edges[0]), float(bins.edges[-1])), histogram, curves)


def _sets(view: View, scores: Any, bins: Any) -> dict[str, Any]:
    """Grid of thresholds, and per set its bins and how many of it each threshold accepts."""
    from ood_core.metrics.histograms import cumulative_counts

    sample = scores.sample()
    sets = {scores.id_name: sample.id, **sample.ood}
    counts = cumulative_counts(sets, bins)
    described = [
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
    return {"grid": counts.thresholds.tolist(), "sets": described}


def _curves(sample: Any) -> dict[str, Any]:
    """Exact vertices in percent to three decimals, and the areas under them, per OOD set."""
    from ood_core import metrics

    curves: dict[str, list[dict[str, list[float]]]] = {"roc": [], "pr_id": [], "pr_ood": []}
    areas: dict[str, list[str]] = {"roc": [], "pr_id": [], "pr_ood": []}
    for ood in sample.ood.values():
        roc = metrics.roc_curve(sample.id, ood, VERTICES)
        curves["roc"].append(_points(roc.fpr, roc.tpr))
        areas["roc"].append(f"{100 * metrics.auroc(sample.id, ood):.2f}")
        for positive, area in (("id", metrics.aupr_in), ("ood", metrics.aupr_out)):
            pr = metrics.pr_curve(sample.id, ood, VERTICES, positive)
            curves[f"pr_{positive}"].append(_points(pr.recall, pr.precision))
            areas[f"pr_{positive}"].append(f"{100 * area(sample.id, ood):.2f}")
    return {"curves": curves, "areas": areas}


def _points(x: Any, y: Any) -> dict[str, list[float]]:
    return {"x": (100 * x).round(3).tolist(), "y": (100 * y).round(3).tolist()}

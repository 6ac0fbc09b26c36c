"""Claims about training, decided by the runs of the lab. `against` is an OOD set, None for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ood_core.theory.claims.claim import Claim, above, below
from ood_core.theory.claims.lab_rows import (
    entropy_points,
    hidden_rows,
    one_class_points,
    separation,
    width_points,
)
from ood_core.theory.hidden_classifier import Estimate
from ood_core.theory.hidden_classifier.result import correlation
from ood_core.theory.lab import SCHEMES, LabResults
from ood_core.theory.lab.plan import DEPTH, EPOCHS

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "claims_of_depth",
    "claims_of_entropy",
    "claims_of_hidden_layers",
    "claims_of_labels",
    "claims_of_nan",
    "claims_of_one_class",
    "claims_of_training",
    "claims_of_width",
    "over_runs",
]

CHANCE = 1 / 8
"""Accuracy of guessing among the lab's eight digits."""
_DRAWS = 2000


def over_runs(values: np.ndarray | pd.Series, *, rate: bool = False) -> Estimate | None:
    """Mean over networks with Student's 95 % interval; None for fewer than two.

    `rate` says that the values are shares: the interval then ends at 0 and 1.
    """
    from scipy.special import stdtrit

    known = np.asarray(values, np.float64)
    n = len(known)
    if n < 2:
        return None
    centre = float(known.mean())
    half = float(stdtrit(n - 1, 0.975)) * float(known.std(ddof=1)) / np.sqrt(n)
    low, high = centre - half, centre + half
    if rate:
        low, high = max(low, 0.0), min(high, 1.0)
    return Estimate(centre, low, high, n)


def claims_of_hidden_layers(results: LabResults) -> list[Claim]:
    """Fig. 2: every hidden layer holds a classifier."""
    rows = hidden_rows(results)
    rows = rows[(rows["set"] == "test") & (rows["epoch"] == EPOCHS)]
    error = rows.pivot_table("relative_error", "seed", "layer")
    first, last = (error.get(k, error.sum(axis=1)) for k in (1, DEPTH))
    return [
        above(
            "Every hidden layer contains a classifier that knows the digits.",
            "accuracy of the hidden classifier in the layer where it is worst (chance: 12.5 %)",
            over_runs(rows.groupby("seed")["accuracy"].min(), rate=True),
            CHANCE,
            "%",
        ),
        above(
            "The deeper the layer, the closer its norm comes to the hidden maximum logit.",
            "relative error in the first hidden layer minus that in the last",
            over_runs(first - last),
            0.0,
            "points",
        ),
        below(
            "In the last hidden layer the norm is within 25 % of the hidden maximum logit on "
            "average.",
            "mean relative error",
            over_runs(last, rate=True),
            0.25,
            "%",
        ),
    ]


def claims_of_training(results: LabResults, against: str | None = None) -> list[Claim]:
    """Fig. 1: training opens a gap between the norms of ID and OOD images."""
    after = separation(results, against=against)
    before = separation(results, epoch=0, against=against)
    return [
        above(
            "Training with labels makes the norm of the last hidden layer larger for ID images "
            "than for OOD images.",
            "AUROC of the norm for new images, after training",
            over_runs(after, rate=True),
            0.5,
            "%",
        ),
        above(
            "Training makes this gap: before it, the norm separates less.",
            "AUROC after training minus AUROC before",
            over_runs(after - before),
            0.0,
            "points",
        ),
    ]


def claims_of_labels(results: LabResults, against: str | None = None) -> list[Claim]:
    """Fig. 3 and 4: no class labels are needed. One claim a scheme and fold."""
    where = {"fit": "images it was trained on", "test": "new images"}
    return [
        above(
            f"{scheme.title}: the norm tells {images} from OOD.",
            "AUROC of the norm",
            over_runs(separation(results, name, fold=fold, against=against), rate=True),
            0.5,
            "%",
        )
        for name, scheme in SCHEMES.items()
        for fold, images in where.items()
    ]


def claims_of_entropy(results: LabResults, against: str | None = None) -> list[Claim]:
    """Fig. 5: the more evenly units are on and off over ID images, the better the norm."""
    points = entropy_points(results, against)
    return [
        above(
            "The higher the activation entropy of the last hidden layer, the better its norm "
            "separates.",
            "correlation over all networks and epochs",
            _between_runs(points, "activation_entropy", "auroc"),
            0.0,
        )
    ]


def claims_of_nan(results: LabResults, against: str | None = None) -> list[Claim]:
    """Table 5: the sparsity term helps."""
    return [
        above(
            f"{SCHEMES[name].title}: NAN separates better than the plain norm.",
            "AUROC of NAN minus AUROC of the norm, new images",
            over_runs(
                separation(results, name, score="negative_aware_norm", against=against)
                - separation(results, name, score="norm", against=against)
            ),
            0.0,
            "points",
        )
        for name in ("supervised", "instance", "instance_augmented")
    ]


def claims_of_depth(results: LabResults, against: str | None = None) -> list[Claim]:
    """Fig. 6: the last hidden layer separates best."""
    titles = {"norm": "The norm", "negative_aware_norm": "NAN"}
    found = []
    for score, title in titles.items():
        layers = [
            separation(results, score=score, layer=k, against=against).to_numpy(float)
            for k in range(1, DEPTH + 1)
        ]
        found.append(
            above(
                f"{title} separates best in the last hidden layer.",
                "AUROC in the last hidden layer minus the best of the layers before it",
                over_runs(layers[-1] - np.max(layers[:-1], axis=0)),
                0.0,
                "points",
            )
        )
    return found


def claims_of_width(results: LabResults, against: str | None = None) -> list[Claim]:
    """Fig. 7: what the width of the last hidden layer does to the norm and to NAN."""
    points = width_points(results, against)
    return [
        above(
            f"A wider last hidden layer makes {title} separate better.",
            "change of AUROC per doubling of the width",
            over_runs(_slopes(points[points["score"] == score])),
            0.0,
            "points",
        )
        for score, title in (("norm", "the norm"), ("negative_aware_norm", "NAN"))
    ]


def claims_of_one_class(results: LabResults) -> list[Claim]:
    """Table 4: a network that saw one class only, without labels, knows what is strange."""
    rows = one_class_points(results)
    return [
        above(
            f"A network trained on one digit, without labels, tells it from others by {title}.",
            "mean AUROC over the eight digits, new images; interval over digits",
            over_runs(
                rows[rows["score"] == score].groupby("only_class")["auroc"].mean(), rate=True
            ),
            0.5,
            "%",
        )
        for score, title in (("norm", "its norm"), ("negative_aware_norm", "its NAN"))
    ]


def _slopes(points: pd.DataFrame) -> np.ndarray:
    """Per seed, the slope of AUROC over log₂ of the width."""
    return np.array(
        [
            np.polyfit(np.log2(part["width"].to_numpy(float)), part["auroc"].to_numpy(float), 1)[0]
            for _, part in points.groupby("seed")
            if part["width"].nunique() > 1
        ]
    )


def _between_runs(points: pd.DataFrame, x: str, y: str) -> Estimate | None:
    """Correlation with a 95 % interval from resampling whole networks.

    Snapshots of one network hang together, so that resampling points would make the interval too
    narrow. Sums of each network are enough to know every resampled correlation.
    """
    runs = [part[[x, y]].to_numpy(float) for _, part in points.groupby("run")]
    if len(runs) < 3:
        return None
    whole = correlation(points[x].to_numpy(float), points[y].to_numpy(float))
    if whole is None:
        return None
    sums = np.array([[len(p), *p.sum(0), *(p**2).sum(0), p.prod(1).sum()] for p in runs])
    drawn = np.random.default_rng(0).integers(0, len(runs), (_DRAWS, len(runs)))
    n, sx, sy, sxx, syy, sxy = sums[drawn].sum(1).T
    r = (n * sxy - sx * sy) / np.sqrt((n * sxx - sx**2) * (n * syy - sy**2))
    low, high = np.quantile(r, [0.025, 0.975])
    return Estimate(whole.value, float(low), float(high), len(points))

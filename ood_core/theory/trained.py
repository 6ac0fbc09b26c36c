"""Claims about training, decided by the runs of the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ood_core.hidden_classifier import Estimate
from ood_core.hidden_classifier.result import correlation
from ood_core.lab import SCHEMES, LabResults
from ood_core.lab.plan import DEPTH, EPOCHS
from ood_core.theory.claim import Claim, above

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
    "over_seeds",
    "separation",
]


def over_seeds(values: np.ndarray | pd.Series, *, rate: bool = False) -> Estimate | None:
    """Mean over runs of different seeds with Student's 95 % interval; None for fewer than two.

    `rate` says that the values are shares: the interval then ends at 0 and 1.
    """
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return None
    values = np.asarray(values, np.float64)
    centre = float(values.mean())
    half = float(stdtrit(n - 1, 0.975)) * float(values.std(ddof=1)) / np.sqrt(n)
    low, high = centre - half, centre + half
    return (
        Estimate(centre, max(low, 0.0), min(high, 1.0), n)
        if rate
        else Estimate(centre, low, high, n)
    )


def separation(
    results: LabResults,
    scheme: str = "supervised",
    *,
    score: str = "norm",
    fold: str = "test",
    layer: int = DEPTH,
    epoch: int = EPOCHS,
    ood_set: str | None = None,
) -> pd.Series:
    """AUROC of each seed's network of the scheme comparison; the mean over OOD sets for None."""
    rows = results.schemes()
    if rows.empty:
        return rows["auroc"]
    rows = rows[
        (rows["scheme"] == scheme)
        & (rows["score"] == score)
        & (rows["fold"] == fold)
        & (rows["layer"] == layer)
        & (rows["epoch"] == epoch)
    ]
    if ood_set is not None:
        rows = rows[rows["ood_set"] == ood_set]
    return rows.groupby("seed")["auroc"].mean()


def claims_of_training(results: LabResults, ood_set: str | None = None) -> list[Claim]:
    """Fig. 1: training opens a gap between the norms of ID and OOD images."""
    after = separation(results, ood_set=ood_set)
    before = separation(results, epoch=0, ood_set=ood_set)
    return [
        above(
            "Training with labels makes the norm of the last hidden layer larger for ID images "
            "than for OOD images.",
            "AUROC of the norm on the test fold, after training",
            over_seeds(after, rate=True),
            0.5,
            "%",
        ),
        above(
            "Training makes this gap: before it, the norm separates less.",
            "AUROC after training minus AUROC before",
            over_seeds(after - before),
            0.0,
            "points",
        ),
    ]


def claims_of_labels(results: LabResults, ood_set: str | None = None) -> list[Claim]:
    """Fig. 3 and 4: no class labels are needed. One claim a scheme and fold."""
    where = {"fit": "the images it was trained on", "test": "new images"}
    found = []
    for name, scheme in SCHEMES.items():
        for fold, images in where.items():
            values = separation(results, name, fold=fold, ood_set=ood_set)
            found.append(
                above(
                    f"{scheme.title}: the norm tells {images} from OOD.",
                    f"AUROC of the norm, {fold} fold",
                    over_seeds(values, rate=True),
                    0.5,
                    "%",
                )
            )
    return found


def claims_of_hidden_layers(results: LabResults) -> list[Claim]:
    """Fig. 2: every hidden layer holds a classifier."""
    rows = _trained_hidden(results, "test")
    accuracy = _per_layer(rows, "accuracy", "min")
    error = rows[rows["layer"] == DEPTH]["relative_error"].to_numpy()
    first = rows[rows["layer"] == 1].set_index("seed")["relative_error"]
    last = rows[rows["layer"] == DEPTH].set_index("seed")["relative_error"]
    return [
        above(
            "Every hidden layer contains a classifier that knows the digits.",
            "accuracy of the hidden classifier in the layer where it is worst (chance: 12.5 %)",
            over_seeds(accuracy, rate=True),
            0.125,
            "%",
        ),
        above(
            "The deeper the layer, the closer its norm comes to the hidden maximum logit.",
            "relative error in the first hidden layer minus that in the last",
            over_seeds(first - last),
            0.0,
            "points",
        ),
        _near(
            "In the last hidden layer the norm nearly equals the hidden maximum logit.",
            over_seeds(error, rate=True),
        ),
    ]


def claims_of_entropy(results: LabResults) -> list[Claim]:
    """Fig. 5: the more evenly units are on and off over ID images, the better the norm."""
    points = entropy_points(results)
    found = _between_runs(points, "activation_entropy", "auroc")
    return [
        above(
            "The higher the activation entropy of the last hidden layer, the better its norm "
            "separates.",
            "correlation over all runs and snapshots, interval by resampling runs",
            found,
            0.0,
        )
    ]


def claims_of_nan(results: LabResults, ood_set: str | None = None) -> list[Claim]:
    """Table 5: the sparsity term helps."""
    found = []
    for name in ("supervised", "instance", "instance_augmented"):
        with_term = separation(results, name, score="nan", ood_set=ood_set)
        without = separation(results, name, score="norm", ood_set=ood_set)
        found.append(
            above(
                f"{SCHEMES[name].title}: NAN separates better than the plain norm.",
                "AUROC of NAN minus AUROC of the norm, test fold",
                over_seeds(with_term - without),
                0.0,
                "points",
            )
        )
    return found


def claims_of_depth(results: LabResults, ood_set: str | None = None) -> list[Claim]:
    """Fig. 6: the last hidden layer separates best."""
    rows = [
        separation(results, score="nan", layer=k + 1, ood_set=ood_set).to_numpy()
        for k in range(DEPTH)
    ]
    best_before = np.max(rows[:-1], axis=0) if len(rows[0]) else np.empty(0)
    return [
        above(
            "NAN separates best in the last hidden layer.",
            "AUROC in the last hidden layer minus the best of the layers before it",
            over_seeds(rows[-1] - best_before),
            0.0,
            "points",
        )
    ]


def claims_of_width(results: LabResults, ood_set: str | None = None) -> list[Claim]:
    """Fig. 7: what the width of the last hidden layer does to the norm and to NAN."""
    names = {"norm": "the norm", "nan": "NAN"}
    return [
        above(
            f"A wider last hidden layer makes {title} separate better.",
            "change of AUROC per doubling of the width",
            over_seeds(_slopes(results, score, ood_set)),
            0.0,
            "points",
        )
        for score, title in names.items()
    ]


def claims_of_one_class(results: LabResults) -> list[Claim]:
    """Table 4: a network that saw one class only, without labels, knows what is strange."""
    rows = one_class_points(results)
    return [
        above(
            f"A network trained on one digit, without labels, tells it from others by {title}.",
            "mean AUROC over the eight digits, test fold; interval over digits",
            over_seeds(
                rows[rows["score"] == score].groupby("only_class")["auroc"].mean(), rate=True
            ),
            0.5,
            "%",
        )
        for score, title in (("norm", "its norm"), ("nan", "its NAN"))
    ]


def entropy_points(results: LabResults, fold: str = "test") -> pd.DataFrame:
    """One row per scheme, seed and snapshot: activation entropy of ID images, AUROC of the norm."""
    rows = results.schemes()
    if rows.empty:
        return rows
    keys = ["run", "scheme", "seed", "epoch"]
    chosen = (rows["layer"] == DEPTH) & (rows["fold"] == fold) & (rows["score"] == "norm")
    separated = rows[chosen].groupby(keys, as_index=False)["auroc"].mean()
    sets = results.schemes("sets")
    sets = sets[(sets["layer"] == DEPTH) & (sets["set"] == fold)]
    return separated.merge(sets[[*keys, "activation_entropy", "active_share"]], on=keys)


def one_class_points(results: LabResults) -> pd.DataFrame:
    """AUROC of each one-class network on the test fold: only_class, seed, score, auroc."""
    rows = results.separation
    rows = rows[rows["only_class"].notna()]
    if rows.empty:
        return rows
    chosen = (rows["fold"] == "test") & (rows["layer"] == DEPTH)
    return rows.loc[chosen, ["only_class", "seed", "score", "auroc"]]


def width_points(results: LabResults, ood_set: str | None = None) -> pd.DataFrame:
    """AUROC by width and seed of the supervised networks, test fold: width, seed, score, auroc."""
    rows = results.separation
    if rows.empty:
        return rows
    chosen = (
        (rows["scheme"] == "supervised")
        & rows["only_class"].isna()
        & (rows["fold"] == "test")
        & (rows["layer"] == DEPTH)
        & (rows["epoch"] == EPOCHS)
    )
    if ood_set is not None:
        chosen &= rows["ood_set"] == ood_set
    return rows[chosen].groupby(["width", "seed", "score"], as_index=False)["auroc"].mean()


def _slopes(results: LabResults, score: str, ood_set: str | None) -> np.ndarray:
    """Per seed, the slope of AUROC over log₂ of the width."""
    rows = width_points(results, ood_set)
    if rows.empty:
        return np.empty(0)
    slopes = []
    for _, part in rows[rows["score"] == score].groupby("seed"):
        if part["width"].nunique() > 1:
            slopes.append(np.polyfit(np.log2(part["width"].astype(float)), part["auroc"], 1)[0])
    return np.array(slopes)


def _trained_hidden(results: LabResults, name: str) -> pd.DataFrame:
    rows = results.schemes("hidden")
    if rows.empty:
        return rows.assign(accuracy=[], relative_error=[])
    chosen = (rows["scheme"] == "supervised") & (rows["set"] == name) & (rows["epoch"] == EPOCHS)
    return rows[chosen]


def _per_layer(rows: pd.DataFrame, column: str, how: str) -> np.ndarray:
    return np.asarray(rows.groupby("seed")[column].agg(how), dtype=np.float64)


def _near(text: str, estimate: Estimate | None) -> Claim:
    from ood_core.theory.claim import below

    return below(text, "mean relative error (below 25 % counts as near)", estimate, 0.25, "%")


def _between_runs(points: pd.DataFrame, x: str, y: str, draws: int = 2000) -> Estimate | None:
    """Correlation with a 95 % interval from resampling whole runs: snapshots of one run hang
    together."""
    if points.empty or points["run"].nunique() < 3:
        return None
    whole = correlation(points[x].to_numpy(float), points[y].to_numpy(float))
    if whole is None:
        return None
    parts = [
        (part[x].to_numpy(float), part[y].to_numpy(float)) for _, part in points.groupby("run")
    ]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(draws):
        chosen = [parts[i] for i in rng.integers(0, len(parts), len(parts))]
        xs, ys = (np.concatenate(side) for side in zip(*chosen, strict=True))
        drawn.append(np.corrcoef(xs, ys)[0, 1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(whole.value, float(low), float(high), len(points))

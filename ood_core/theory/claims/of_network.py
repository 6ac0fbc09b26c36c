"""Claims about the user's own network, decided by its measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ood_core.metrics import auroc
from ood_core.metrics.intervals import binomial_interval
from ood_core.theory.claims.claim import Claim, above, below
from ood_core.theory.hidden_classifier import Estimate, HiddenClassifier

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.activations import ActivationSet
    from ood_core.layers import Quantities

__all__ = ["claims_of_hidden", "claims_of_nan_here", "norm_and_nan", "paired_difference"]

_Z = 1.959964


def claims_of_hidden(found: Mapping[str, HiddenClassifier], id_name: str) -> list[Claim]:
    """Eq. 5, accuracy, nearness and correlation of one layer's hidden classifier.

    Parameters
    ----------
    found : set name -> measurement of the layer.
    id_name : the ID test set's name.
    """
    hidden = found[id_name]
    return [
        _bounds(found),
        above(
            "The hidden classifier knows the classes.",
            f"accuracy on the ID test set (chance: {100 / hidden.n_classes:.1f} %)",
            hidden.accuracy,
            1 / hidden.n_classes,
            "%",
        ),
        above(
            "The feature norm moves with the hidden maximum logit.",
            "correlation over the ID test images (above 0.5 counts)",
            hidden.correlation,
            0.5,
        ),
        below(
            "The feature norm nearly equals the hidden maximum logit.",
            "mean relative error over the ID test images (below 25 % counts as near)",
            hidden.mean_relative_error,
            0.25,
            "%",
        ),
    ]


def _bounds(found: Mapping[str, HiddenClassifier]) -> Claim:
    """Share of images within Eq. 5's bounds, exact interval. A theorem: one violation refutes."""
    n = sum(len(h) for h in found.values())
    inside = n - sum(h.violations for h in found.values())
    estimate = Estimate(inside / n, *binomial_interval(inside, n), n)
    text = "The norm is never below the hidden maximum logit, and never above it by more than (5)."
    measure = f"share of {n:,} images, ID and OOD, on which both bounds hold"
    return Claim(text, inside == n, measure, estimate, 1.0, "%")


def norm_and_nan(acts: ActivationSet, layer: str, ood_sets: Sequence[str]) -> pd.DataFrame:
    """AUROC of norm, sparsity and NAN of the pooled layer, ID test set against each OOD set.

    Columns: ood_set, score ("norm", "sparsity", "negative_aware_norm"), auroc.
    """
    import pandas as pd

    inside, outside = _quantities(acts, layer, ood_sets)
    rows = [
        {"ood_set": name, "score": score, "auroc": auroc(inside.score(key), other.score(key))}
        for name, other in outside.items()
        for score, key in (
            ("norm", "l1"),
            ("sparsity", "sparsity"),
            ("negative_aware_norm", "negative_aware_norm"),
        )
    ]
    return pd.DataFrame(rows)


def claims_of_nan_here(acts: ActivationSet, layer: str, ood_sets: Sequence[str]) -> list[Claim]:
    """Does NAN separate better than the plain norm at this layer? One claim an OOD set."""
    inside, outside = _quantities(acts, layer, ood_sets)
    return [
        above(
            f"NAN separates ID from {name} better than the plain norm.",
            "AUROC of NAN minus AUROC of the norm",
            paired_difference(
                inside.negative_aware_norm, other.negative_aware_norm, inside.l1, other.l1
            ),
            0.0,
            "points",
        )
        for name, other in outside.items()
    ]


def _quantities(
    acts: ActivationSet, layer: str, ood_sets: Sequence[str]
) -> tuple[Quantities, dict[str, Quantities]]:
    from ood_core.layers import quantities

    inside = quantities(acts[acts.experiment.test_set].layer(layer))
    return inside, {name: quantities(acts[name].layer(layer)) for name in ood_sets}


def paired_difference(
    id_a: np.ndarray, ood_a: np.ndarray, id_b: np.ndarray, ood_b: np.ndarray
) -> Estimate:
    """AUROC of score a minus AUROC of score b on the same images, with DeLong's 95 % interval.

        Var(A_a − A_b) = Var_ID(V_a − V_b) / n + Var_OOD(U_a − U_b) / m

    V is the share of OOD scores below an ID score (ties half), U the share of ID scores above an
    OOD score. The images are the same, so what both scores find hard cancels.

    Parameters
    ----------
    id_a, id_b : (n,) two scores of the ID images.
    ood_a, ood_b : (m,) the same scores of the OOD images.

    References
    ----------
    DeLong et al., Biometrics 44 (1988).
    """
    of_id = _placements(id_a, ood_a) - _placements(id_b, ood_b)
    of_ood = (1 - _placements(ood_a, id_a)) - (1 - _placements(ood_b, id_b))
    n, m = len(of_id), len(of_ood)
    difference = float(of_id.mean())
    variance = np.var(of_id, ddof=1) / n + np.var(of_ood, ddof=1) / m if min(n, m) > 1 else 1.0
    half = _Z * float(np.sqrt(variance))
    return Estimate(difference, max(-1.0, difference - half), min(1.0, difference + half), n + m)


def _placements(of: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Share of `among` below each of `of`, ties counted half."""
    ordered = np.sort(among)
    low = np.searchsorted(ordered, of, side="left")
    high = np.searchsorted(ordered, of, side="right")
    return np.asarray((low + high) / (2 * len(ordered)))

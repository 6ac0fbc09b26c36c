"""Claims about the user's own network, decided by its measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ood_core.metrics import auroc
from ood_core.metrics.intervals import binomial_interval
from ood_core.metrics.paired import auroc_difference
from ood_core.theory.claims.claim import Claim, above, below
from ood_core.theory.hidden_classifier import Estimate, HiddenClassifier

if TYPE_CHECKING:
    import pandas as pd

    from ood_core.activations import ActivationSet
    from ood_core.layers import Quantities

__all__ = ["claims_of_hidden", "claims_of_nan_here", "norm_and_nan"]


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
            "correlation over the ID test images (above 0.5 holds)",
            hidden.correlation,
            0.5,
        ),
        below(
            "The feature norm is within 25 % of the hidden maximum logit on average.",
            "mean relative error over the ID test images",
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
    text = (
        "The norm is never below the hidden maximum logit, and never above it by more than "
        "equation (5) allows."
    )
    measure = (
        f"share of {n:,} images, ID and OOD, on which both hold (proven: one exception refutes)"
    )
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
            _nan_minus_norm(inside, other),
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


def _nan_minus_norm(inside: Quantities, outside: Quantities) -> Estimate:
    scores = inside.negative_aware_norm, outside.negative_aware_norm, inside.l1, outside.l1
    return Estimate(*auroc_difference(*scores), len(inside.l1) + len(outside.l1))

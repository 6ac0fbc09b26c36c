"""The difference of two AUROCs on the same images, with an interval that knows they are paired."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ood_core.errors import DataError

__all__ = ["Difference", "auroc_difference"]


class Difference(NamedTuple):
    """One AUROC minus another, 0-1, with its interval.

    Attributes
    ----------
    value : the difference, positive where the first is better.
    low, high : ends of the interval.
    """

    value: float
    low: float
    high: float


def auroc_difference(
    id_a: np.ndarray,
    ood_a: np.ndarray,
    id_b: np.ndarray,
    ood_b: np.ndarray,
    level: float = 0.95,
) -> Difference:
    """AUROC of score a minus AUROC of score b on the same images, with DeLong's interval.

        A_a - A_b = mean_i(U_i) = mean_j(V_j),   Var = var_i(U_i) / n + var_j(V_j) / m
        U_i = P(ood_a < x_i) + ½P(ood_a = x_i) - the same for b,   V_j likewise of the OOD images

    The two scores of an image rise and fall together, which makes the interval far narrower than
    two single ones suggest. Where both scores order every image rightly (or wrongly) no variance
    shows: the ends are then ± (1 - (α/2)^(1/min(n, m))), the one-sided bound of a perfect AUROC.
    So are they where no variance shows for another reason, as when one score is the same for all.
    With a single image in a set nothing is known: (-1, 1).

    Parameters
    ----------
    id_a, id_b : (n,) scores of the same ID images in the same order, higher = more ID.
    ood_a, ood_b : (m,) scores of the same OOD images in the same order.
    level : confidence.

    Raises
    ------
    DataError
        When the two scores are not of the same number of images, or a set is empty.

    Reference
    ---------
    DeLong et al., Biometrics 44 (1988), for correlated curves.

    Examples
    --------
    >>> known, unknown = np.array([3.0, 2.0, 4.0]), np.array([1.0, 2.5])
    >>> round(auroc_difference(known, unknown, known, unknown[::-1] + 1).value, 3)
    0.25
    """
    from scipy.special import ndtri

    n, m = len(id_a), len(ood_a)
    if len(id_b) != n or len(ood_b) != m or not n or not m:
        raise DataError(
            f"two scores are compared on the same images: got {n} and {len(id_b)} ID images, "
            f"{m} and {len(ood_b)} OOD images."
        )
    of_id_a, of_ood_a = _placements(id_a, ood_a)
    of_id_b, of_ood_b = _placements(id_b, ood_b)
    value = float(of_id_a.mean() - of_id_b.mean())
    tail = (1 - level) / 2
    if min(n, m) < 2:
        return Difference(value, -1.0, 1.0)
    variance = (of_id_a - of_id_b).var(ddof=1) / n + (of_ood_a - of_ood_b).var(ddof=1) / m
    none = math.sqrt(variance) < 1e-12  # what rounding leaves
    if none and (value or (_all_alike(of_id_a) and _all_alike(of_id_b))):
        half = 1 - tail ** (1 / min(n, m))
    else:
        half = float(ndtri(1 - tail)) * math.sqrt(variance)
    return Difference(value, max(-1.0, value - half), min(1.0, value + half))


def _placements(known: np.ndarray, unknown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each ID image the share of OOD images below it, for each OOD image the share of ID images
    above it; ties count half."""
    below = _rank(np.sort(unknown), known)
    above = len(known) - _rank(np.sort(known), unknown)
    return below / len(unknown), above / len(known)


def _rank(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Number of `ordered` below each value, those equal to it counted half."""
    left = np.searchsorted(ordered, values, "left")
    return np.asarray((left + np.searchsorted(ordered, values, "right")) / 2)


def _all_alike(shares: np.ndarray) -> bool:
    """Whether the two sets do not overlap: an AUROC of exactly 0 or 1."""
    return bool((shares == 1).all() or (shares == 0).all())

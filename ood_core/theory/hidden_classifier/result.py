"""What the hidden classifier of one layer says about a set of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ood_core.errors import DataError
from ood_core.metrics.intervals import binomial_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Estimate", "HiddenClassifier", "activation_entropy"]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, and the number of images it comes from."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, eq=False)
class HiddenClassifier:
    """One layer's hidden classifier on n images; arrays have shape (n,), float64.

    `a` is the layer's output as one flat vector of d units, `b_k = sign(C_k)` the binary weights
    of class k, and `ψ̄_k = b_k · a` the binarised logit.

    Attributes
    ----------
    norm : `‖a‖₁`.
    confidence : `max_k ψ̄_k`, the hidden maximum logit.
    prediction : the class that attains it.
    entropy : entropy of `softmax ψ̄` in nats.
    sign_difference : `‖sign(a) − b_y‖₁` to the true class y, each mismatch counting 2; NaN where
        the class is unknown. Divided by 2d it is the share of units that disagree.
    sign_difference_predicted : the same to the predicted class.
    bias : `‖β(x)‖₂` over the classes used, what the biases add to the logits; 0 without biases.
    logit_norm : `‖ψ‖₂` over the same classes.
    upper_slack : smallest `‖a‖_∞ ‖sign(a) − b_k‖₁ − (‖a‖₁ − ψ̄_k)` over the classes; Eq. 5 says
        it is not negative.
    lower_slack : smallest `‖a‖₁ − ψ̄_k`; Eq. 5 says it is not negative.
    mismatch_mass : `2 min_k Σ |a_i|` over the units whose sign disagrees with `b_k`: the closed
        form of the approximation error.
    labels : (n,) int64, −1 where unknown.
    n_units, n_classes : d and K.
    classes_used : the number of classes that `ψ̄` was taken over (K, or fewer on request).
    activation_entropy : mean over units of the entropy of "on or off", in nats, over these images.
    rules : rule of Eq. 2 -> "exact" or "extension", for those that the tail needed.
    uncovered : operations of the tail without a rule; `bias` then holds their remainder too.
    """

    layer: str
    norm: np.ndarray
    confidence: np.ndarray
    prediction: np.ndarray
    entropy: np.ndarray
    sign_difference: np.ndarray
    sign_difference_predicted: np.ndarray
    bias: np.ndarray
    logit_norm: np.ndarray
    upper_slack: np.ndarray
    lower_slack: np.ndarray
    mismatch_mass: np.ndarray
    labels: np.ndarray
    n_units: int
    n_classes: int
    classes_used: int
    activation_entropy: float
    rules: Mapping[str, str] = field(default_factory=dict)
    uncovered: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.norm)

    @property
    def approximation_error(self) -> np.ndarray:
        """`‖a‖₁ − max_k ψ̄_k`, never negative (Eq. 5)."""
        return np.asarray(self.norm - self.confidence)

    @property
    def relative_error(self) -> np.ndarray:
        """Approximation error as a share of `‖a‖₁`; 0 where the activation is all zero."""
        share = np.zeros(len(self))
        np.divide(self.approximation_error, self.norm, out=share, where=self.norm > 0)
        return share

    @property
    def accuracy(self) -> Estimate | None:
        """Share of labelled images that the hidden classifier gets right; None without labels."""
        known = self.labels >= 0
        n = int(known.sum())
        if not n:
            return None
        right = int((self.prediction == self.labels)[known].sum())
        return Estimate(right / n, *binomial_interval(right, n), n)

    @property
    def correlation(self) -> Estimate | None:
        """Pearson correlation of `‖a‖₁` with the hidden maximum logit; None where undefined."""
        return correlation(self.norm, self.confidence)

    @property
    def mean_relative_error(self) -> Estimate:
        """Mean relative approximation error, with the interval of a mean."""
        return mean(self.relative_error)

    @property
    def violations(self) -> int:
        """Images on which Eq. 5 fails by more than rounding (1e-6 of the norm)."""
        tolerance = 1e-6 * np.maximum(self.norm, 1e-30)
        return int(((self.upper_slack < -tolerance) | (self.lower_slack < -tolerance)).sum())

    def summary(self) -> dict[str, float | int | str]:
        """One row of numbers for a table: means over the images, intervals of the first three."""
        accuracy, correlated, error = self.accuracy, self.correlation, self.mean_relative_error
        nan = Estimate(np.nan, np.nan, np.nan, 0)
        a, r = accuracy or nan, correlated or nan
        return {
            "layer": self.layer, "n": len(self), "units": self.n_units,
            "classes": self.n_classes, "classes_used": self.classes_used,
            "accuracy": a.value, "accuracy_low": a.low, "accuracy_high": a.high,
            "correlation": r.value, "correlation_low": r.low, "correlation_high": r.high,
            "relative_error": error.value, "relative_error_low": error.low,
            "relative_error_high": error.high,
            "approximation_error": float(self.approximation_error.mean()),
            "norm": float(self.norm.mean()), "hidden_max_logit": float(self.confidence.mean()),
            "entropy": float(self.entropy.mean()),
            "mismatch_rate": _nanmean(self.sign_difference) / (2 * self.n_units),
            "mismatch_rate_predicted": float(self.sign_difference_predicted.mean())
            / (2 * self.n_units),
            "activation_entropy": self.activation_entropy,
            "bias_share": float(self.bias.sum() / max(self.logit_norm.sum(), 1e-300)),
            "violations": self.violations, "rules": ", ".join(sorted(self.rules)),
        }  # fmt: skip

    def frame(self, ids: Sequence[str] | None = None) -> pd.DataFrame:
        """One row an image; `ids` become its first column."""
        import pandas as pd

        data = {
            "label": self.labels, "hidden_prediction": self.prediction,
            "feature_norm": self.norm, "hidden_max_logit": self.confidence,
            "approximation_error": self.approximation_error,
            "relative_error": self.relative_error, "eq5_upper_slack": self.upper_slack,
            "prediction_entropy": self.entropy, "sign_difference": self.sign_difference,
            "sign_difference_predicted": self.sign_difference_predicted,
            "bias_norm": self.bias, "logit_norm": self.logit_norm,
        }  # fmt: skip
        table = pd.DataFrame(data)
        table.insert(0, "layer", self.layer)
        if ids is not None:
            if len(ids) != len(self):
                raise DataError(f"{len(ids)} ids for {len(self)} images.")
            table.insert(0, "id", list(ids))
        return table


def activation_entropy(active_share: np.ndarray) -> float:
    """Mean over units of the entropy of "on or off", in nats (Eq. 7).

        H = mean_i [ −p_i ln p_i − (1 − p_i) ln(1 − p_i) ],   p_i = share of images with a_i > 0

    Parameters
    ----------
    active_share : (d,) p_i of each unit, from 0 to 1; 0 ln 0 = 0.

    The paper does not state its base; this is in nats, at most ln 2 = 0.693.
    """
    p = np.asarray(active_share, np.float64)
    inside = (p > 0) & (p < 1)
    q = np.where(inside, p, 0.5)
    h = np.where(inside, -q * np.log(q) - (1 - q) * np.log1p(-q), 0.0)
    return float(h.mean()) if h.size else 0.0


def correlation(x: np.ndarray, y: np.ndarray) -> Estimate | None:
    """Pearson correlation with Fisher's 95 % interval; None for n < 4 or a constant."""
    n = len(x)
    if n < 4 or not np.ptp(x) > 0 or not np.ptp(y) > 0:
        return None
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
    centre, half = np.arctanh(np.clip(r, -1 + 1e-15, 1 - 1e-15)), 1.959964 / np.sqrt(n - 3)
    return Estimate(r, float(np.tanh(centre - half)), float(np.tanh(centre + half)), n)


def mean(x: np.ndarray) -> Estimate:
    """Mean with its normal 95 % interval (no width for one value)."""
    half = 1.959964 * float(np.std(x, ddof=1)) / np.sqrt(len(x)) if len(x) > 1 else 0.0
    m = float(np.mean(x))
    return Estimate(m, m - half, m + half, len(x))


def _nanmean(x: np.ndarray) -> float:
    known = x[~np.isnan(x)]
    return float(known.mean()) if len(known) else float("nan")

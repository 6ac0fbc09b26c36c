"""Thresholds: how to choose one, and what it does. An image is accepted when score >= threshold.

>>> from ood_core import thresholds
>>> sample = thresholds.as_sample([3.0, 2.0, 1.0, 0.5], {"far": [0.1, 0.8]})
>>> thresholds.at("tpr=0.75", sample).threshold  # accepts three of the four ID images
1.0
"""

from ood_core.thresholds.choosing import (
    PREVALENCE,
    at,
    at_cost,
    at_fpr,
    at_threshold,
    at_tpr,
    check_at,
)
from ood_core.thresholds.conformal import conformal, conformal_p_values
from ood_core.thresholds.operating_point import (
    Accepted,
    Halves,
    OperatingPoint,
    Sample,
    as_sample,
    halves,
)

__all__ = [
    "PREVALENCE",
    "Accepted",
    "Halves",
    "OperatingPoint",
    "Sample",
    "as_sample",
    "at",
    "at_cost",
    "at_fpr",
    "at_threshold",
    "at_tpr",
    "check_at",
    "conformal",
    "conformal_p_values",
    "halves",
]

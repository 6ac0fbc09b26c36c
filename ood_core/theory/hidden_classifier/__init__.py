"""The classifier hidden in a layer: section 3 of the paper on the negative-aware norm, for any net.

A layer's feature norm `‖a‖₁` nearly equals the maximum logit of a classifier whose weights are
the signs of the coefficient matrix C(x). `measure_head` and `measure_tail` compute how nearly.

References
----------
Park et al., "Understanding the Feature Norm for Out-of-Distribution Detection", ICCV 2023,
arXiv 2310.05316.
"""

from ood_core.theory.hidden_classifier.measure import measure_head, measure_tail
from ood_core.theory.hidden_classifier.result import Estimate, HiddenClassifier, activation_entropy

VERSION = 1
"""Raised when the same network and images give other numbers: older measurements are then never
read."""

__all__ = [
    "VERSION",
    "Estimate",
    "HiddenClassifier",
    "activation_entropy",
    "measure_head",
    "measure_tail",
]

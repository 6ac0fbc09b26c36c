"""How well scores separate ID from OOD, counted exactly; 95 % intervals; bins for drawing.

Higher score = more in-distribution, ID is the positive class.

>>> from ood_core import metrics
>>> metrics.auroc([3.0, 2.0, 1.0], [0.5, 1.0])
0.9166666666666666
>>> metrics.fpr_at_tpr([3.0, 2.0, 1.0], [0.5, 1.0])  # the threshold that accepts 95 % of ID is 1.0
0.5
"""

from ood_core.metrics.curves import PrCurve, RocCurve, pr_curve, roc_curve
from ood_core.metrics.evaluation import (
    Evaluation,
    aupr_in,
    aupr_out,
    auroc,
    auroc_interval,
    detection_error,
    evaluate,
    fpr_at_tpr,
    fpr_at_tpr_ood_positive,
    fpr_interval,
    score_warnings,
)

__all__ = [
    "Evaluation",
    "PrCurve",
    "RocCurve",
    "aupr_in",
    "aupr_out",
    "auroc",
    "auroc_interval",
    "detection_error",
    "evaluate",
    "fpr_at_tpr",
    "fpr_at_tpr_ood_positive",
    "fpr_interval",
    "pr_curve",
    "roc_curve",
    "score_warnings",
]

"""What a detector may declare of itself, and the groups that lists show."""

from __future__ import annotations

__all__ = ["DECLARED", "FAMILIES", "NEEDS"]

NEEDS = ("logits", "head", "zero_shot", "fit", "labels", "model")
"""What a detector may need beside features."""
DECLARED = ("name", "title", "summary", "equation", "reference")
"""Class attributes that every detector must set: what pages print."""
FAMILIES = (
    "Feature norms",
    "Important neurons",
    "Logits",
    "Distances",
    "Shaped activations",
    "Features and logits",
    "Fusions",
    "Plug-ins",
)
"""Groups in which pages list the detectors, in this order."""

"""What a user can have to begin with: the wizard asks for it first."""

from __future__ import annotations

from ood_core.experiments import ClassifierSpec

__all__ = ["KINDS", "kind_of"]

KINDS = {
    "network": "A network",
    "features": "Features I already have",
    "encoder": "An encoder without classes",
    "hub": "A folder from a model hub",
}
"""What a user has -> how the page says it."""


def kind_of(spec: ClassifierSpec) -> str:
    """Which of KINDS a classifier is."""
    if spec.architecture == "features":
        return "features"
    if spec.architecture == "huggingface":
        return "hub"
    return "encoder" if spec.encoder else "network"

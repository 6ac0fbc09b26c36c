"""Classifiers: architectures, checkpoints, layers and the head."""
from ood_core.models.head import ClassifierHead

__all__ = ["ClassifierHead"]

"""Experiments: TOML in, Experiment out."""

from ood_core.experiments.experiment import ClassifierSpec, DataSpec, Experiment, Preprocessing
from ood_core.experiments.loading import BrokenExperiment, list_experiments, load_experiment

__all__ = [
    "BrokenExperiment",
    "ClassifierSpec",
    "DataSpec",
    "Experiment",
    "Preprocessing",
    "list_experiments",
    "load_experiment",
]

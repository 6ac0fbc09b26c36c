"""Experiments: TOML in, Experiment out."""

from ood_core.experiments.experiment import ClassifierSpec, DataSpec, Experiment, Preprocessing
from ood_core.experiments.loading import BrokenExperiment, list_experiments, load_experiment
from ood_core.experiments.parsing import parse_experiment
from ood_core.experiments.writing import save_experiment, to_toml

__all__ = [
    "BrokenExperiment",
    "ClassifierSpec",
    "DataSpec",
    "Experiment",
    "Preprocessing",
    "list_experiments",
    "load_experiment",
    "parse_experiment",
    "save_experiment",
    "to_toml",
]

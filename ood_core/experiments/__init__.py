"""Experiments: TOML in, Experiment out."""

from ood_core.experiments.experiment import ClassifierSpec, DataSpec, Experiment, Preprocessing

__all__ = ["ClassifierSpec", "DataSpec", "Experiment", "Preprocessing"]

"""Download the data sets of an experiment that torchvision offers, on request only.

What is on disk is not fetched again; a download that was interrupted goes on. For data that must
be fetched by hand, it says how.
"""

from __future__ import annotations

import argparse

from ood_core.commands._arguments import add_experiment
from ood_core.commands._terminal import Terminal
from ood_core.errors import ConfigError, did_you_mean
from ood_core.experiments import load_experiment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment(parser)
    parser.add_argument("sets", metavar="SET", nargs="*", help="data sets (default: all missing)")


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """Fetch what is missing; False when something must be fetched by hand."""
    from ood_core.data import download, experiment_status

    exp = load_experiment(args.experiment)
    for name in args.sets:
        if name not in exp.sets:
            raise ConfigError(f"unknown data set {name!r}. {did_you_mean(name, exp.sets)}")
    by_hand = 0
    for name, status in experiment_status(exp).items():
        if args.sets and name not in args.sets:
            continue
        if status.fetch == "download":
            terminal.note(f"{name}: {status.message}")
            where = download(exp.sets[name], terminal.progress, terminal.should_stop)
            terminal.out(f"{name}: downloaded to {where}.")
        else:
            terminal.out(f"{name}: {status.message}")
            by_hand += status.fetch == "by hand"
    return not by_hand

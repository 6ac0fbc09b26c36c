"""Arguments and steps that several commands share."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ood_core.commands._terminal import Terminal
from ood_core.experiments import load_experiment

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet
    from ood_core.experiments import Experiment

__all__ = ["add_experiment", "add_json", "add_params", "add_pass", "agree", "names", "prepared_set"]


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """The experiment that a command works on."""
    parser.add_argument(
        "experiment", metavar="EXPERIMENT", help="name of an experiment, or path of a TOML file"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Machine-readable results."""
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def add_params(parser: argparse.ArgumentParser) -> None:
    """Parameters of a detector that differ from the experiment's."""
    parser.add_argument(
        "--params", default="", metavar="NAME=VALUE;…",
        help="parameters of the detector, for example 'p_a=90;clip=0.8'",
    )  # fmt: skip


def add_pass(parser: argparse.ArgumentParser) -> None:
    """How the forward pass runs, where one is needed."""
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)"
    )
    parser.add_argument(
        "--trust", action="store_true",
        help="agree that the experiment's own Python code, as it is now, runs on this machine",
    )  # fmt: skip


def agree(exp: Experiment, args: argparse.Namespace, terminal: Terminal) -> None:
    """What `--trust` says: the experiment's own code, if it has any, may run from now on."""
    from ood_core.models import code_request, trust_code

    request = code_request(exp) if args.trust else None
    if request is not None:
        trust_code(exp, request.digest, by="command line")
        terminal.note(f"agreed to run {request.name} in {request.path}, SHA-256 {request.digest}.")


def names(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def prepared_set(
    args: argparse.Namespace,
    terminal: Terminal,
    sets: Sequence[str] | None = None,
    ood_sets: Sequence[str] | None = None,
    **options: Any,
) -> ActivationSet:
    """The experiment's activations: from the store, or extracted now with a progress bar.

    `sets` names data sets; `ood_sets` OOD sets, to which fit and test set are added.
    """
    from ood_core.activations import extract
    from ood_core.scoring.params import given_params

    # A long run says first which of several weights it takes, and what it leaves in the file.
    logging.getLogger("ood_core.models").setLevel(logging.WARNING)
    exp = load_experiment(args.experiment)
    agree(exp, args, terminal)
    given_params(exp)  # complains before the work, not after it
    if ood_sets is not None:
        sets = (exp.fit_set, exp.test_set, *ood_sets)
    return extract(
        exp,
        device=args.device,
        sets=sets,
        progress=terminal.progress,
        should_stop=terminal.should_stop,
        **options,
    )

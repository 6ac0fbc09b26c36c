"""List the experiments, and what each still needs.

Built-in ones first, then those in the user's experiments folder. A file that cannot be used is
listed with the reason. What is missing, and how to get it: --json, or `download EXPERIMENT`.
"""

from __future__ import annotations

import argparse
from typing import Any

from ood_core.commands._arguments import add_json
from ood_core.commands._terminal import Terminal
from ood_core.experiments import BrokenExperiment, list_experiments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_json(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """List every experiment."""
    for entry in list_experiments():
        known = _describe(entry)
        if args.json:
            terminal.record(known)
        else:
            terminal.out(f"{known['name']:<24} {_state(known):<12} {known['title'] or ''}".rstrip())
    return True


def _state(known: dict[str, Any]) -> str:
    if known["error"]:
        return f"cannot be used: {known['error']}"
    return "ready" if known["ready"] else f"{len(known['missing'])} missing"


def _describe(entry: Any) -> dict[str, Any]:
    from ood_core.data import experiment_status

    if isinstance(entry, BrokenExperiment):
        return {
            "name": entry.name, "title": None, "ready": False, "path": str(entry.path),
            "error": entry.message, "missing": {},
        }  # fmt: skip
    missing = {name: s.message for name, s in experiment_status(entry).items() if not s.ready}
    return {
        "name": entry.name,
        "title": entry.title,
        "ready": not missing,
        "path": str(entry.path) if entry.path else None,
        "error": None,
        "missing": missing,
        "fit_set": entry.fit_set,
        "test_set": entry.test_set,
        "ood_sets": list(entry.ood_sets),
    }

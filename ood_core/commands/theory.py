"""Measure the classifier hidden in a layer: is its maximum logit the feature norm?

Writes one row per image: the norm, the hidden maximum logit, the error between them and its
bounds. Prints one row per data set: accuracy of the hidden classifier, mean relative error,
correlation of norm and hidden maximum logit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ood_core.commands._arguments import add_experiment, add_json, add_pass, agree, names
from ood_core.commands._terminal import Terminal
from ood_core.experiments import load_experiment

_SHOWN = ("n", "accuracy", "relative_error", "correlation", "violations")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment(parser)
    parser.add_argument("--layer", default="penultimate", help="layer (default: penultimate)")
    parser.add_argument("--sets", type=names, help="data sets, a,b,… (default: ID test and OOD)")
    parser.add_argument("--per-set", type=int, default=250, help="images of each set (default 250)")
    parser.add_argument("--top", type=int, help="only each image's N largest logits")
    parser.add_argument("--out", type=Path, help="write the table to this CSV file")
    add_pass(parser)
    add_json(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """Measure, write the table, print the summary."""
    from ood_core.export.csv_file import csv_text
    from ood_core.theory import theory_table

    exp = load_experiment(args.experiment)
    agree(exp, args, terminal)
    table = theory_table(
        exp,
        args.layer,
        args.sets,
        per_set=args.per_set,
        top=args.top,
        device=args.device,
        progress=terminal.progress,
        should_stop=terminal.should_stop,
    )
    if args.out:
        args.out.write_text(csv_text(table), encoding="utf-8")
        terminal.note(f"wrote {len(table):,} rows to {args.out}")
    for row in table.attrs["summary"].to_dict("records"):
        if args.json:
            terminal.record(row)
        else:
            shown = ", ".join(f"{k} {_text(row[k])}" for k in _SHOWN if row[k] == row[k])
            terminal.out(f"{row['set']:<16} {shown}")
    return True


def _text(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)

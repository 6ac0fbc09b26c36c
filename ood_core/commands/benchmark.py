"""Compare detectors on the experiment's OOD sets.

Prints AUROC / FPR95 in percent (ID is the positive class), near and far means and the mean over
the sets; the same numbers each time. Files get all columns. A detector that cannot run, because a
parameter does not fit the data for example, has its reason in place of figures (exit status 1).
EXPERIMENT may be a recipe that the dashboard saved: its detector runs, and a figure that is not
the recipe's is told (exit status 1).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.commands._arguments import (
    add_experiment,
    add_json,
    add_params,
    add_pass,
    names,
    prepared_set,
)
from ood_core.commands._terminal import Terminal
from ood_core.errors import ConfigError, DataError, StoppedError
from ood_core.experiments import load_experiment

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet
    from ood_core.export.recipe import Recipe
    from ood_core.scoring import Benchmark

FORMATS = (".csv", ".md", ".tex")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment(parser)
    parser.add_argument("--detectors", type=names, help="a,b,… or fusions a+b (default: every one)")
    parser.add_argument("--layer", help="layer for layer-wise detectors, or 'all' for every layer")
    parser.add_argument("--ood-sets", type=names, help="OOD sets, a,b,… (default: all)")
    parser.add_argument(
        "--out", type=Path, action="append", default=[],
        help="file to write: .csv (every figure), .md or .tex (table); may be given again",
    )  # fmt: skip
    add_params(parser)
    parser.add_argument(
        "--grid", metavar="NAME=VALUE,…;…",
        help="values of the detector's parameters: one row for each combination, for example "
        "'k=10,50;squared=True,False'",
    )  # fmt: skip
    add_pass(parser)
    add_json(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """Run the detectors, print the table, write the files; keeps what was done on Ctrl-C."""
    from ood_core import scoring

    _check_files(args.out)
    recipe = _take_recipe(args)
    params, grid = _chosen(args, recipe)
    acts = _prepared(args, terminal)
    found: list[scoring.ScoreSet | scoring.Skipped] = []
    stopped = None
    try:
        for result in scoring.runs(
            acts, args.detectors, args.layer, args.ood_sets, params,
            progress=terminal.progress, should_stop=terminal.should_stop, grid=grid,
        ):  # fmt: skip
            found.append(result)
    except (StoppedError, KeyboardInterrupt) as error:
        stopped = error
    done = scoring.Benchmark.of(found, acts.experiment.near)
    if found:
        _report(done, args, terminal)
        if not acts.experiment.ood_sets:
            terminal.note(scoring.NO_OOD)
        terminal.note(f"sanity gates: {scoring.gates_in_words(scoring.run_gates(acts))}")
    if stopped is not None:
        raise stopped
    return _as_recorded(recipe, done, terminal) and not done.failed


def _chosen(
    args: argparse.Namespace, recipe: Recipe | None
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, list[Any]]]]:
    """Parameters and grid, each under its detector; complains before the work, not after it."""
    from ood_core.detectors import canonical_name
    from ood_core.scoring.params import grid_from, params_from, rows_of

    params = {recipe.detector: dict(recipe.params)} if recipe else {}
    given = params_from(args.params)
    grid = {} if args.grid is None else grid_from(args.grid)
    if not given and not grid:
        return params, {}
    detectors = list(dict.fromkeys(map(canonical_name, args.detectors or ())))
    if len(detectors) != 1:
        raise ConfigError(
            f"--params and --grid are for one detector, and --detectors names {len(detectors)}. "
            "Name one, or give the experiment file a table [detectors.NAME] for each."
        )
    if recipe and grid:
        raise ConfigError("--grid: a recipe holds one setting. Give the experiment's name instead.")
    (name,) = detectors
    rows_of(name, given, grid)
    params[name] = {**params.get(name, {}), **given}
    return params, {name: grid} if grid else {}


def _prepared(args: argparse.Namespace, terminal: Terminal) -> ActivationSet:
    """Activations of the OOD sets named; where some are not on disk the error says how to go on."""
    from ood_core.data import available, experiment_status

    try:
        return prepared_set(args, terminal, ood_sets=args.ood_sets)
    except DataError as error:
        exp = load_experiment(args.experiment)
        status = experiment_status(exp)
        ready = available(exp, status).ood_sets
        known = status[exp.fit_set].ready and status[exp.test_set].ready
        if args.ood_sets or not known or ready == exp.ood_sets:
            raise
        raise DataError(f"{error} To go on without: --ood-sets {','.join(ready)}") from error


def _take_recipe(args: argparse.Namespace) -> Recipe | None:
    """Read the recipe if one was given; what the command line says itself goes first."""
    from ood_core.export.recipe import is_recipe, load_recipe

    if not is_recipe(args.experiment):
        return None
    recipe = load_recipe(args.experiment)
    args.experiment = recipe.experiment
    args.detectors = args.detectors or [recipe.detector]
    args.layer = args.layer or recipe.layer
    args.ood_sets = args.ood_sets or list(recipe.ood_sets) or None
    return recipe


def _as_recorded(recipe: Recipe | None, done: Benchmark, terminal: Terminal) -> bool:
    """Tell every figure that is not what the recipe holds."""
    if recipe is None:
        return True
    same = [s for s in done.score_sets if s.detector == recipe.detector]
    found = [sentence for scores in same for sentence in recipe.differences(scores)]
    for sentence in found:
        terminal.note(f"not as in the recipe: {sentence}")
    if same and recipe.results and not found:
        terminal.note(f"as in the recipe: {len(recipe.results)} OOD sets, every figure the same.")
    return not found


def _check_files(paths: list[Path]) -> None:
    """Complain before the work, not after it."""
    for path in paths:
        if path.suffix not in FORMATS:
            raise ConfigError(f"--out {path}: the file must end in {', '.join(FORMATS)}.")
        if not path.absolute().parent.is_dir():
            raise ConfigError(f"--out {path}: the folder {path.parent} does not exist.")


def _report(done: Benchmark, args: argparse.Namespace, terminal: Terminal) -> None:
    from ood_core.export.csv_file import csv_text
    from ood_core.scoring import tables
    from ood_core.scoring.sweeps import TUNED

    for skipped in done.skipped:
        terminal.note(f"{'left out' if skipped.left_out else 'error'}: {skipped.reason}")
    if not (done.score_sets or done.failed):
        return
    table, board = done.table(), done.leaderboard()
    for path in args.out:
        write = {".md": tables.markdown, ".tex": tables.latex}.get(path.suffix)
        text = write(board) if write else csv_text(table)
        path.write_text(text, encoding="utf-8")
    if args.json:
        for row in table.to_dict("records"):
            terminal.record({k: v for k, v in row.items() if (k, v) != ("error", "")})
    else:
        for line in tables.markdown(board.drop(columns="seconds")).splitlines():
            terminal.out(line)
    for entry in done.score_sets:
        for warning in entry.warnings:
            terminal.note(f"{entry.detector} ({entry.layer}): {warning}")
    seconds = ", ".join(f"{e.detector} {e.seconds:.2f}" for e in done.score_sets)
    if seconds:
        terminal.note(f"seconds: {seconds}")
    if args.grid is not None:
        terminal.note(TUNED)

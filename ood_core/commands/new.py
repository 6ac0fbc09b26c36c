"""Make an experiment of your own network and images.

Finds out what it can (architecture and classes of a checkpoint, preprocessing of published
weights, sets below a folder), checks everything, runs a sample of the images through the network
and says of each sanity gate whether it holds. Writes the file unless something cannot be used.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.commands._arguments import add_json, add_pass, agree, names
from ood_core.commands._new_arguments import add_classifier, add_preprocessing
from ood_core.commands._new_draft import draft_of
from ood_core.commands._terminal import Terminal
from ood_core.errors import ConfigError
from ood_core.experiments import Preprocessing, save_experiment
from ood_core.experiments.parsing_classifier import CLASSIFIER_KEYS
from ood_core.runtime.toml_text import toml_text

if TYPE_CHECKING:
    from ood_core.experiments import Experiment
    from ood_core.wizard import Check, Draft


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="name of the new experiment")
    parser.add_argument("--from", dest="folder", type=Path, help="folder to look for sets in")
    add_classifier(parser)
    add_preprocessing(parser)
    parser.add_argument("--fit", help="ID training images: folder, list, table, zip; or features")
    parser.add_argument("--test", help="ID test images")
    parser.add_argument("--fit-root", type=Path, help="folder that the paths in a fit list are in")
    parser.add_argument("--test-root", type=Path, help="the same for a test list")
    parser.add_argument(
        "--ood", action="append", default=[], metavar="NAME=PATH",
        help="an OOD set: folder, list, table, zip or torchvision:NAME; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--classes", type=names, default=[], help="classes that alone are ID, a,b,…"
    )
    parser.add_argument("--near", type=names, default=[], help="OOD sets that are near, a,b,…")
    parser.add_argument("--check", type=int, metavar="N", help="images of each set; 0: none")
    parser.add_argument("--samples", type=Path, help="picture of what the network sees, .png")
    parser.add_argument("--out", type=Path, help="file to write (default: your experiments)")
    parser.add_argument("--force", action="store_true", help="replace an experiment of this name")
    add_pass(parser)
    add_json(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """Check, write, check on images; False when something cannot be used, and nothing written."""
    from ood_core import wizard

    draft = draft_of(args, terminal)
    if draft.trust:
        agree(wizard.only_classifier(draft), args, terminal)
    draft = wizard.complete(draft, terminal.progress, terminal.should_stop)
    files = (draft.checkpoint, draft.head, draft.text)
    paths = (*files, *(s.source for s in (draft.fit, draft.test, *draft.ood)))
    toml_text({"paths": paths})  # complains before the work, not after it
    given = _given(args)
    if draft.kind == "features" and (given or args.measure or args.samples):
        raise ConfigError(
            "features are not preprocessed: leave out --measure, --samples and the options of "
            "[preprocessing]."
        )
    draft = wizard.with_values(draft, given)
    if args.measure:
        draft = _measured(draft, given, terminal)
    lines = wizard.check_draft(draft)
    _report(lines, args, terminal, draft)
    if any(line.ok is False for line in lines):
        return False
    exp = wizard.new_experiment(draft, Path.cwd())
    _samples(exp, args, terminal)
    path = save_experiment(exp, args.out, overwrite=args.force)
    terminal.note(f"written: {path}.")
    lacking = wizard.missing(exp)
    for item in lacking:
        terminal.note(f"{item.title}: {item.message}")
    if lacking:
        terminal.note(f"next: python -m ood_core download {args.out or exp.name}")
        return True
    count = wizard.QUICK if args.check is None else args.check
    if count:
        gates = wizard.gate_checks(_passed(exp, count, args, terminal))
        _report(gates, args, terminal, draft)
    terminal.note(f"next: python -m ood_core benchmark {args.out or exp.name}")
    return True


def _passed(exp: Experiment, count: int, args: argparse.Namespace, terminal: Terminal) -> Any:
    from ood_core import wizard
    from ood_core.activations import extract

    part = wizard.sample(exp, count)
    return extract(
        part, device=args.device, progress=terminal.progress, should_stop=terminal.should_stop
    )


def _report(
    lines: tuple[Check, ...], args: argparse.Namespace, terminal: Terminal, draft: Draft
) -> None:
    for line in lines:
        if args.json:
            shown = {"part": line.part, "check": line.name, "ok": line.ok, "text": line.text}
            terminal.record(shown | {"remedy": line.remedy, "fixes": [f.label for f in line.fixes]})
            continue
        word = {True: "ok      ", False: "FAILS   ", None: "unknown "}[line.ok]
        terminal.out(f"{word}{line.name}: {line.text}".rstrip())
        for more in (
            line.remedy,
            *(f"{fix.label}: {_as_options(fix.draft, draft)}" for fix in line.fixes),
        ):
            if more:
                terminal.out(f"        {more}")


def _as_options(fixed: Draft, draft: Draft) -> str:
    """The options that make of the draft the one with the fix."""
    p = fixed.preprocessing
    if p is not None and p != draft.preprocessing and fixed.architecture == draft.architecture:
        return _preprocessing_options(p)
    changed = {
        key: value
        for key in CLASSIFIER_KEYS
        if (value := getattr(fixed, key)) not in ("", None) and value != getattr(draft, key)
    }
    if "architecture" in changed and fixed.num_classes is not None:
        changed["num_classes"] = fixed.num_classes
    given = [f"--{k.replace('_', '-')} {shlex.quote(str(v))}" for k, v in changed.items()]
    given += [f"no --{k}" for k in ("part", "keys") if getattr(draft, k) and not getattr(fixed, k)]
    return " ".join(given)


def _preprocessing_options(p: Preprocessing) -> str:
    sides = (("--resize", p.resize), ("--center-crop", p.center_crop))
    given = [f"{option} {_pixels(side)}" for option, side in sides if side is not None]
    given += [f"--mean {','.join(map(repr, p.mean))} --std {','.join(map(repr, p.std))}"]
    if p.interpolation != "bilinear":
        given.append(f"--interpolation {p.interpolation}")
    return " ".join([*given, f"--mode {p.mode}"] if p.mode != "RGB" else given)


def _measured(draft: Draft, given: dict[str, Any], terminal: Terminal) -> Draft:
    from ood_core.wizard import measure, overridden_proposals

    ranked = measure(draft, overridden_proposals(draft, given))
    for m in ranked:
        terminal.note(f"{100 * m.accuracy:5.1f} % of {m.images} right: {m.proposal.label}")
    return dataclasses.replace(draft, preprocessing=ranked[0].proposal.preprocessing)


def _samples(exp: Experiment, args: argparse.Namespace, terminal: Terminal) -> None:
    if args.samples is None:
        return
    from ood_core.models import resolve_preprocessing
    from ood_core.wizard import contact_sheet, look

    seen = resolve_preprocessing(exp)
    contact_sheet({name: look(spec, seen) for name, spec in exp.sets.items()}).save(args.samples)
    terminal.note(
        f"samples: {args.samples}; per set stored images above what the network sees, in the "
        f"order {', '.join(exp.sets)}."
    )


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The preprocessing's values that were given; the others stay as they would be without."""
    keys = ("resize", "center_crop", "mean", "std", "interpolation", "mode")
    return {key: value for key in keys if (value := getattr(args, key)) is not None}


def _pixels(side: int | tuple[int, int]) -> str:
    return str(side) if isinstance(side, int) else f"{side[0]},{side[1]}"

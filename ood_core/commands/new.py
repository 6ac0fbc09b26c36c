"""Make an experiment of your own network and images.

Finds out what it can (architecture and classes of a checkpoint, preprocessing of published
weights, sets below a folder), checks everything, runs a sample of the images through the network
and says of each sanity gate whether it holds. Writes the file unless something cannot be used.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.commands._arguments import add_json, add_pass, names
from ood_core.commands._terminal import Terminal
from ood_core.errors import ConfigError
from ood_core.experiments import save_experiment

if TYPE_CHECKING:
    from ood_core.experiments import Experiment
    from ood_core.wizard import Check, Draft, SetDraft, Survey

_SHOWN = 5
"""Checkpoints that are listed beside the one that is taken."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="name of the new experiment")
    parser.add_argument("--from", dest="folder", type=Path, help="folder to look for sets in")
    _add_classifier(parser)
    _add_preprocessing(parser)
    parser.add_argument("--fit", help="ID training images: folder, list, table, zip")
    parser.add_argument("--test", help="ID test images")
    parser.add_argument("--fit-root", type=Path, help="folder that the paths in a fit list are in")
    parser.add_argument("--test-root", type=Path, help="the same for a test list")
    parser.add_argument(
        "--ood", action="append", default=[], metavar="NAME=PATH",
        help="an OOD set: folder, list, table, zip or torchvision:NAME; may be given again",
    )  # fmt: skip
    parser.add_argument("--near", type=names, default=[], help="OOD sets that are near, a,b,…")
    parser.add_argument("--check", type=int, metavar="N", help="images of each set; 0: none")
    parser.add_argument("--samples", type=Path, help="picture of what the network sees, .png")
    parser.add_argument("--out", type=Path, help="file to write (default: your experiments)")
    parser.add_argument("--force", action="store_true", help="replace an experiment of this name")
    add_pass(parser)
    add_json(parser)


def _add_classifier(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--architecture", default="", help="built in, torchvision:… or timm:…")
    parser.add_argument(
        "--checkpoint", help="file with the weights, or a folder or pattern with several"
    )
    parser.add_argument("--weights", default="", help="name of published weights")
    parser.add_argument("--random-weights", type=int, metavar="SEED", help="weights by chance")
    parser.add_argument("--num-classes", type=int, help="default: from the weights")
    parser.add_argument("--class-names", type=names, default=[], help="in the network's order")
    parser.add_argument("--expected-accuracy", type=float, help="on the ID test set, 0-1")


def _add_preprocessing(parser: argparse.ArgumentParser) -> None:
    # Without a default here: what is not given stays as the weights or the likeliest guess have it.
    parser.add_argument("--resize", type=int, help="shorter side, pixels; no crop is larger")
    parser.add_argument("--center-crop", type=int, help="side of the square, pixels")
    parser.add_argument("--mean", type=_numbers, help="r,g,b")
    parser.add_argument("--std", type=_numbers, help="r,g,b")
    parser.add_argument("--interpolation", help="nearest, bilinear, bicubic, box or lanczos")
    parser.add_argument("--mode", choices=("RGB", "L"), help="L: one channel")
    parser.add_argument(
        "--measure", action="store_true",
        help="try each likely preprocessing on ID test images and take the best",
    )  # fmt: skip


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """Check, write, check on images; False when something cannot be used, and nothing written."""
    from ood_core import wizard

    draft = _draft(args, terminal)
    draft = wizard.complete(draft, terminal.progress, terminal.should_stop)
    given = _given(args)
    draft = wizard.with_values(draft, given)
    if args.measure:
        draft = _measured(draft, given, terminal)
    lines = wizard.check_draft(draft)
    _report(lines, args, terminal)
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
        _report(wizard.gate_checks(_passed(exp, count, args, terminal)), args, terminal)
    terminal.note(f"next: python -m ood_core benchmark {args.out or exp.name}")
    return True


def _passed(exp: Experiment, count: int, args: argparse.Namespace, terminal: Terminal) -> Any:
    from ood_core import wizard
    from ood_core.activations import extract

    part = wizard.sample(exp, count)
    return extract(
        part, device=args.device, progress=terminal.progress, should_stop=terminal.should_stop
    )


def _report(lines: tuple[Check, ...], args: argparse.Namespace, terminal: Terminal) -> None:
    for line in lines:
        if args.json:
            shown = {"part": line.part, "check": line.name, "ok": line.ok, "text": line.text}
            terminal.record(shown | {"remedy": line.remedy, "fixes": [f.label for f in line.fixes]})
            continue
        word = {True: "ok      ", False: "FAILS   ", None: "unknown "}[line.ok]
        terminal.out(f"{word}{line.name}: {line.text}".rstrip())
        for more in (
            line.remedy,
            *(f"{fix.label}: {_as_options(fix.draft)}" for fix in line.fixes),
        ):
            if more:
                terminal.out(f"        {more}")


def _as_options(draft: Draft) -> str:
    classes = f" --num-classes {draft.num_classes}" if draft.num_classes else ""
    return f"--architecture {draft.architecture}{classes}"


def _draft(args: argparse.Namespace, terminal: Terminal) -> Draft:
    from ood_core.wizard import Draft

    draft = Draft(
        name=args.name,
        title=args.name,
        architecture=args.architecture,
        checkpoint=_checkpoint(args.checkpoint, terminal),
        weights=args.weights,
        random_weights=args.random_weights,
        num_classes=args.num_classes,
        class_names=tuple(args.class_names),
        expected_accuracy=args.expected_accuracy,
        fit=_listed(args.fit, "fit", args.fit_root),
        test=_listed(args.test, "test", args.test_root),
        ood=tuple(_ood(text, args.near) for text in args.ood),
    )
    return _surveyed(draft, args.folder, terminal) if args.folder else draft


def _surveyed(draft: Draft, folder: Path, terminal: Terminal) -> Draft:
    """The draft with what lies in the folder, where nothing was given, and why it was taken."""
    from ood_core.wizard import survey

    found = survey(folder, draft.fit)
    chosen: dict[str, Any] = {}
    if not (draft.checkpoint or draft.weights or draft.random_weights is not None):
        chosen["checkpoint"] = _first_of(found, folder, terminal)
    if not (draft.fit.source or draft.test.source):
        pairs = [f"{fit.source} and {test.source}" for fit, test in found.pairs]
        if not (pairs and found.certain):
            _only(pairs, "pair of fit and test images", folder)
        chosen["fit"], chosen["test"] = found.pairs[0]
    elif not draft.test.source and found.pairs and not found.pairs[0][0].source:
        chosen["test"] = found.pairs[0][1]
    if not draft.ood:
        chosen["ood"] = found.others
    for name, value in chosen.items():
        for source in [s.source for s in value] if name == "ood" else [_source(value)]:
            terminal.note(f"{name}: {source or 'none'}{_because(found, source)}")
    for one in found.unused:
        terminal.note(f"not used: {one.source}{_because(found, one.source)}")
    return dataclasses.replace(draft, **chosen)


def _first_of(found: Survey, folder: Path, terminal: Terminal) -> str:
    """The likeliest checkpoint of a folder."""
    if not found.checkpoints:
        raise ConfigError(
            f"--from {folder} holds no checkpoint. Name it with --checkpoint, or give --weights or "
            "--random-weights with an --architecture."
        )
    first, *others = map(str, found.checkpoints)
    _note_others([(source, found.why.get(source, "")) for source in others], terminal)
    return first


def _checkpoint(given: str | None, terminal: Terminal) -> str:
    """The file, or the likeliest one of a folder or a pattern."""
    from ood_core.wizard import checkpoints_at

    ranked = checkpoints_at(given or "")
    if not ranked:
        return _here(given)
    (first, why), *others = ranked
    terminal.note(f"checkpoint: {first} ({why})")
    _note_others([(str(path), reason) for path, reason in others], terminal)
    return str(first)


def _note_others(others: Sequence[tuple[str, str]], terminal: Terminal) -> None:
    for source, why in others[:_SHOWN]:
        terminal.note(f"not this checkpoint: {source} ({why}); --checkpoint names another")
    if len(others) > _SHOWN:
        terminal.note(f"and {len(others) - _SHOWN:,} more checkpoints")


def _source(value: SetDraft | str) -> str:
    return value if isinstance(value, str) else value.source


def _because(found: Survey, source: str) -> str:
    why = found.why.get(source, "")
    return f" ({why})" if why else ""


def _only(found: list[str], what: str, folder: Path) -> str:
    if len(found) == 1:
        return found[0]
    listed = f"{len(found)}: {'; '.join(found[:5])}" if found else "none"
    raise ConfigError(
        f"--from {folder} must hold one {what}, found {listed}. Name the right one, or a folder "
        "that holds one only."
    )


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


def _listed(path: str | None, role: str, root: Path | None) -> SetDraft:
    from ood_core.wizard import set_from

    found = set_from(_here(path), role)
    given = {"root": _here(str(root))} if root else {}
    return dataclasses.replace(found, options={**found.options, **given})


def _ood(text: str, near: list[str]) -> SetDraft:
    from ood_core.wizard import set_from, set_name

    name, equals, source = text.partition("=")
    if not equals:
        source, name = text, set_name(text)
    return dataclasses.replace(set_from(_here(source), name), near=name in near)


def _here(path: str | None) -> str:
    """Paths as the shell means them: relative to the working folder, where that exists."""
    return str(Path(path).expanduser().absolute()) if path and Path(path).exists() else path or ""


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))

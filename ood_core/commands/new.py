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

from ood_core.commands._arguments import add_json, add_pass, names
from ood_core.commands._new_draft import draft_of
from ood_core.commands._terminal import Terminal
from ood_core.experiments import Preprocessing, save_experiment
from ood_core.runtime.toml_text import toml_text

if TYPE_CHECKING:
    from ood_core.experiments import Experiment
    from ood_core.wizard import Check, Draft


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
    parser.add_argument("--part", default="", help="weights in a checkpoint that holds several")
    parser.add_argument("--weights", default="", help="name of published weights")
    parser.add_argument("--random-weights", type=int, metavar="SEED", help="weights by chance")
    parser.add_argument("--num-classes", type=int, help="default: from the weights")
    parser.add_argument("--class-names", type=names, default=[], help="in the network's order")
    parser.add_argument("--expected-accuracy", type=float, help="on the ID test set, 0-1")


def _add_preprocessing(parser: argparse.ArgumentParser) -> None:
    # Without a default here: what is not given stays as the weights or the likeliest guess have it.
    parser.add_argument(
        "--resize", type=_resize, help="shorter side, or height,width; pixels; no crop is larger"
    )
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

    draft = draft_of(args, terminal)
    draft = wizard.complete(draft, terminal.progress, terminal.should_stop)
    paths = (draft.checkpoint, *(s.source for s in (draft.fit, draft.test, *draft.ood)))
    toml_text({"paths": paths})  # complains before the work, not after it
    given = _given(args)
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
    if fixed.part != draft.part:
        return f"--part {shlex.quote(fixed.part)}"
    p = fixed.preprocessing
    if p is not None and p != draft.preprocessing and fixed.architecture == draft.architecture:
        return _preprocessing_options(p)
    classes = f" --num-classes {fixed.num_classes}" if fixed.num_classes else ""
    return f"--architecture {fixed.architecture}{classes}"


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


def _resize(text: str) -> int | tuple[int, int]:
    try:
        sides = tuple(int(part) for part in text.split(","))
    except ValueError:
        sides = ()
    if len(sides) == 1:
        return sides[0]
    if len(sides) == 2:
        return sides
    raise argparse.ArgumentTypeError(
        f"must be the shorter side, or height,width, in pixels, got {text!r}"
    )


def _numbers(text: str) -> tuple[float, ...]:
    plain = text.strip().removeprefix("[").removesuffix("]")
    try:
        return tuple(float(part) for part in plain.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be numbers with commas between, such as 0.485,0.456,0.406, got {text!r}"
        ) from None

"""Run every image of an experiment through its classifier, once, into the store.

What is stored is not computed again; a run that was interrupted continues where it stopped.
"""

from __future__ import annotations

import argparse
from typing import Any

from ood_core.commands._arguments import add_experiment, add_json, add_pass, names, prepared_set
from ood_core.commands._terminal import Terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment(parser)
    parser.add_argument(
        "--layers", type=names, help="layers to record, a,b,… (default: all useful)"
    )
    parser.add_argument("--sets", type=names, help="data sets to extract, a,b,… (default: all)")
    add_pass(parser)
    parser.add_argument("--engine", default="local", help="local, or ray (requirements-ray.txt)")
    parser.add_argument("--batch-size", type=int, help="images per pass (default: found by itself)")
    parser.add_argument("--workers", type=int, help="decoding threads (default: one per core)")
    parser.add_argument("--amp", action="store_true", help="half precision; scores differ slightly")
    parser.add_argument("--channels-last", action="store_true", help="other memory format")
    parser.add_argument("--compile", action="store_true", help="compile the network first")
    add_json(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """Extract, then say what is stored; False when an image could not be read."""
    from ood_core.activations import remarks
    from ood_core.data import classes_numbered

    acts = prepared_set(
        args,
        terminal,
        args.sets,
        layers=args.layers,
        engine=args.engine,
        batch_size=args.batch_size,
        workers=args.workers,
        amp=args.amp,
        channels_last=args.channels_last,
        compile=args.compile,
    )
    said = remarks(acts)
    for name in acts:
        skipped, left_out = acts.skipped[name], acts.left_out[name]
        if args.json:
            found: dict[str, Any] = {
                "set": name,
                "images": len(acts[name]),
                "layers": [i.name for i in acts.layers],
            }
            found["skipped"] = [{"path": p, "error": e} for p, e in skipped]
            found["left_out"] = [{"path": o.path, "reason": o.reason} for o in left_out]
            found["notes"] = [{"path": p, "note": n} for p, n in acts.notes[name]]
            terminal.record(found)
        else:
            terminal.out(f"{name:<24} {len(acts[name]):>9,} images, {len(acts.layers)} layers")
        for _, reason in skipped:
            terminal.note(f"not read: {reason}")
        for remark in said.get(name, ()):
            terminal.note(f"{name}: {remark}")
    exp = acts.experiment
    known = {exp.fit_set, exp.test_set} <= acts.keys() and not args.json and not args.quiet
    if known and (how := classes_numbered(exp)):
        terminal.note(f"classes: {how}")
    lost = any(out.lost for found in acts.left_out.values() for out in found)
    return not (lost or any(acts.skipped.values()))

"""Write classifier, detector and threshold as one file that only needs torch.

The file is a torch.export program: images in [0, 1] go in, logits, score and verdict come out. It
is run on ID test images and compared with the library before it is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ood_core.commands._arguments import add_experiment, add_params, add_pass, prepared_set
from ood_core.commands._terminal import Terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment(parser)
    parser.add_argument("--detector", required=True, help="name of an exportable detector")
    parser.add_argument("--at", default="tpr=0.95", help="threshold, as for score")
    parser.add_argument("--out", type=Path, required=True, help="file to write, ending in .pt2")
    add_params(parser)
    add_pass(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """Export and say what was checked."""
    from ood_core.detectors import make_detector
    from ood_core.export import export
    from ood_core.scoring.params import params_from
    from ood_core.thresholds import check_at

    check_at(args.at)
    params = params_from(args.params)
    make_detector(args.detector, **params)
    acts = prepared_set(args, terminal)
    report = export(acts, args.detector, args.out, at=args.at, params=params)
    verdicts = "the same verdicts" if report.same_verdicts else "a verdict differs at the threshold"
    terminal.out(
        f"{report.path}: {report.megabytes:.1f} MB, threshold {report.threshold:.6g}. Run on "
        f"{report.checked} ID test images: scores differ by {report.largest_difference:.1g} at "
        f"most, {verdicts}."
    )
    terminal.note(report.how)
    return True

"""Check that a detector, built in or a plug-in, holds to the contract.

Every check is named, with what was expected and what was found where it fails. Exit status 1
when one does not hold.
"""

from __future__ import annotations

import argparse

from ood_core.commands._arguments import add_json
from ood_core.commands._terminal import Terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("detectors", metavar="NAME", nargs="+", help="name of a detector or fusion")
    add_json(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """Run the contract suite on each detector; False when a check fails."""
    from ood_core.detectors import canonical_name
    from ood_core.detectors.contract import check_detector

    good = True
    for name in dict.fromkeys(map(canonical_name, args.detectors)):
        results = check_detector(name)
        for result in results:
            if args.json:
                known = {"detector": name, "check": result.check, "passed": result.passed}
                terminal.record(known | {"message": result.message})
            else:
                mark = "holds" if result.passed else "FAILS"
                reason = f": {result.message}" if result.message else ""
                terminal.out(f"{mark}  {result.check}{reason}")
        failed = sum(not result.passed for result in results)
        terminal.note(f"{name}: {len(results) - failed} of {len(results)} checks hold.")
        good &= not failed
    return good

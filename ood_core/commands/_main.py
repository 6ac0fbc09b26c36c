"""Command line: `python -m ood_core COMMAND`. Exit status 0, 1 (the work failed), 2 (usage)."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from ood_core import __version__
from ood_core.commands import all_commands
from ood_core.commands._terminal import Terminal
from ood_core.errors import ConfigError, OODLensError, StoppedError

__all__ = ["main", "make_parser"]

FAILED, USAGE, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1, 2, or 130 after Ctrl-C."""
    args = make_parser().parse_args(argv)
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    with Terminal(args.quiet) as terminal:
        try:
            return 0 if args.run(args, terminal) else FAILED
        except ConfigError as error:
            terminal.note(f"error: {error}")
            return USAGE
        except (OODLensError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                return _reader_left()
            terminal.note(f"error: {error}")
            return FAILED
        except (StoppedError, KeyboardInterrupt):
            terminal.note("interrupted. What was finished is kept: the same command goes on there.")
            return INTERRUPTED


def make_parser() -> argparse.ArgumentParser:
    """Parser with one subcommand per file in `ood_core/commands`."""
    parser = argparse.ArgumentParser(
        prog="python -m ood_core",
        description="OOD Lens: does a classifier know that an image is out of distribution?",
    )
    parser.add_argument("--version", action="version", version=f"ood-lens {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in all_commands().items():
        text = (module.__doc__ or "").strip()
        command = commands.add_parser(
            name,
            help=text.splitlines()[0].rstrip("."),
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.add_argument("--quiet", action="store_true", help="no progress bars")
        command.set_defaults(run=module.run)
    return parser


def _reader_left() -> int:
    """Standard output was closed by its reader (`| head`): end without a complaint."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED

"""Command line: `python -m ood_core COMMAND`, or `ood-lens COMMAND` where it is installed.

Exit status 0, 1 (the work failed), 2 (usage).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from ood_core import __version__
from ood_core.commands import all_commands
from ood_core.commands._terminal import Terminal, close_streams, open_streams
from ood_core.errors import ConfigError, OODLensError, StoppedError
from ood_core.runtime.names import shown

__all__ = ["main", "make_parser", "ood_lens"]

FAILED, USAGE, INTERRUPTED = 1, 2, 130


def ood_lens() -> int:
    """The installed command `ood-lens`: alone, or with options only, it opens the dashboard."""
    given = sys.argv[1:]
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help", "--version")):
        given = ["dashboard", *given]
    return main(given, "ood-lens")


def main(argv: Sequence[str] | None = None, prog: str = "python -m ood_core") -> int:
    """Run one command and return its exit status: 0, 1, 2, or 130 after Ctrl-C."""
    open_streams()
    try:
        return _run(_parsed(argv, prog))
    finally:
        close_streams()


def _run(args: argparse.Namespace) -> int:
    with Terminal(args.quiet) as terminal:
        try:
            return 0 if args.run(args, terminal) else FAILED
        except ConfigError as error:
            terminal.note(f"error: {error}")
            return USAGE
        except BrokenPipeError:  # the reader of standard output left (`| head`)
            return FAILED
        except (OODLensError, OSError) as error:
            terminal.note(f"error: {error}")
            return FAILED
        except (StoppedError, KeyboardInterrupt):
            terminal.note("interrupted. What was finished is kept: the same command goes on there.")
            return INTERRUPTED


def _parsed(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """The arguments; what is not known goes to a command that passes it on, else it is an error."""
    parser = make_parser(prog)
    args, unknown = parser.parse_known_args(argv)
    if unknown and "passed_on" not in args:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if unknown:
        args.passed_on = unknown
    return args


class _Parser(argparse.ArgumentParser):
    """Help and complaints in text that a terminal only shows: they quote what was given."""

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(shown(message or "", keep="\n"), file)


def make_parser(prog: str = "python -m ood_core") -> argparse.ArgumentParser:
    """Parser with one subcommand per file in `ood_core/commands`."""
    parser = _Parser(
        prog=prog,
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

"""Show what the activation store holds, and make room.

Least recently used entries come first and go first.
"""

from __future__ import annotations

import argparse
from datetime import datetime

from ood_core.commands._arguments import add_json
from ood_core.commands._terminal import Terminal
from ood_core.errors import ConfigError
from ood_core.runtime.paths import store_dir


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--prune", type=float, metavar="GB", help="remove entries until GB are left"
    )
    add_json(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """List the entries; with --prune, remove the oldest first."""
    from ood_core.activations import prune, store_usage

    if args.prune is not None:
        if not args.prune >= 0:
            raise ConfigError(f"--prune must be a number of gigabytes >= 0, got {args.prune}.")
        terminal.note(f"freed {prune(int(args.prune * 1e9)) / 1e6:,.1f} MB.")
    entries = store_usage()
    for entry in entries:
        used = datetime.fromtimestamp(entry.used).isoformat(" ", "minutes")
        if args.json:
            terminal.record(
                {"key": entry.set_key, "layer": entry.layer, "bytes": entry.bytes, "used": used}
            )
        else:
            terminal.out(
                f"{used}  {entry.bytes / 1e6:>10,.1f} MB  {entry.set_key[:12]}  {entry.layer}"
            )
    total = sum(entry.bytes for entry in entries)
    terminal.note(f"{len(entries)} entries, {total / 1e6:,.1f} MB in {store_dir()}.")
    return True

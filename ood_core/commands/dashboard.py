"""Open the dashboard: prints its address and runs until Ctrl-C.

Options that are not listed here are Streamlit's and are passed on, such as
--server.maxUploadSize 2000.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import ood_core
from ood_core.commands._terminal import Terminal
from ood_core.errors import ConfigError

HOST = "127.0.0.1"
"""Where the dashboard listens unless --server.address says otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--port", "--server.port", metavar="N", help="port (default: 8501, or the next free one)"
    )
    parser.set_defaults(passed_on=[])


def run(args: argparse.Namespace, terminal: Terminal) -> bool:
    """Become Streamlit, with our page files and settings."""
    passed_on = list(args.passed_on)
    if passed_on and not passed_on[0].startswith("-"):
        raise ConfigError(
            f"dashboard takes options only, got {passed_on[0]!r}. Try: ood-lens dashboard --help"
        )
    if find_spec("streamlit") is None:
        raise ConfigError("the dashboard needs Streamlit, which is missing: pip install streamlit")
    script = script_path()
    if args.port is not None:
        passed_on += ["--server.port", str(_usable(args.port))]
        if not any(option.startswith("--server.address") for option in passed_on):
            terminal.note(f"OOD Lens: http://{HOST}:{args.port}   (Ctrl-C stops it)")
    # -P: no folder that happens to be the current one is looked into for modules.
    environment = {"PYTHONIOENCODING": ":backslashreplace"} | os.environ  # as our own streams
    command = [sys.executable, "-P", "-m", "streamlit", "run", *passed_on, str(script)]
    if os.name == "nt":  # there exec leaves the console to two processes at once
        return subprocess.run(command, env=environment, check=False).returncode == 0
    os.execve(command[0], command, environment)
    return True


def script_path() -> Path:
    """The dashboard's first page: of an installation, or of the checkout that this library is in.

    Raises
    ------
    ConfigError
        When only the library is there.
    """
    beside = Path(ood_core.__file__).resolve().parents[1]
    for folder in (beside / "ood_lens_dashboard", beside):
        if (folder / "app.py").is_file() and (folder / "pages").is_dir():
            return folder / "app.py"
    raise ConfigError(
        f"the pages of the dashboard are not beside the library ({beside}). Install OOD Lens from "
        "a clone of its repository: pip install ."
    )


def _usable(text: str) -> int:
    """The port, once it is a number and free."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ConfigError(f"the port must be a number from 1 to 65535, got {text!r}.")
    port = int(text)
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((HOST, port))
        except OSError as error:
            other = port + 1 if port < 65535 else 8501
            raise ConfigError(
                f"port {port} cannot be used ({error.strerror}). Choose another: --port {other} "
                f"(make run PORT={other})."
            ) from None
    return port

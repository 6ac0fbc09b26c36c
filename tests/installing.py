"""OOD Lens as `pip install .` leaves it: a wheel in an environment of its own, offline."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Installed:
    """An environment with the package in it; the packages it needs are those of the tests.

    Attributes
    ----------
    folder : the environment.
    elsewhere : a folder whose modules and settings are not ours, to start commands in.
    home : OOD_LENS_HOME of commands.
    """

    folder: Path
    elsewhere: Path
    home: Path

    @property
    def command(self) -> str:
        return str(self.folder / "bin" / "ood-lens")

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def environment(self) -> dict[str, str]:
        ours = {"PYTHONPATH": sysconfig.get_path("purelib"), "OOD_LENS_HOME": str(self.home)}
        return os.environ | ours

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.elsewhere, env=self.environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def pip(self, *argv: str) -> None:
        done = self.run(sys.executable, "-m", "pip", "--python", self.python, *argv)
        assert done.returncode == 0, done.stderr

    def files(self) -> set[str]:
        return {str(p.relative_to(self.folder)) for p in self.folder.rglob("*")}


def build(folder: Path) -> Path:
    """The wheel of the checkout, as pip makes it."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("needs hatchling, which `make test` installs")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(folder: Path) -> Installed:
    """An empty environment, and a folder with a `pages`, an `ood_core` and settings of its own."""
    elsewhere = folder / "elsewhere"
    for module in ("pages", "ood_core", "app"):
        (elsewhere / module).mkdir(parents=True)
        (elsewhere / module / "__init__.py").write_text("raise ImportError('not the one meant')\n")
    (elsewhere / ".streamlit").mkdir()
    (elsewhere / ".streamlit" / "config.toml").write_text("[server]\nmaxUploadSize = 7\n")
    made = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], check=True)
    return Installed(made, elsewhere, folder / "home")

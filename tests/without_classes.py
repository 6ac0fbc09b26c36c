"""A home with a network without a head, and one with a head whose images have no labels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from ood_core.data import open_dataset
from ood_core.experiments import DataSpec

__all__ = ["ALONE", "EXPERIMENTS", "HALF", "make_home"]

EXPERIMENTS = ("headless", "unlabelled", "bare")
"""Without a head; without labels; without both."""

HALF = "half"
"""With a head and with labels of the fit set alone."""

ALONE = "alone"
"""The network without a head and its ID sets, without any OOD set."""

_SETS = """
[preprocessing]
resize = 16
center_crop = 16
mode = "L"
mean = [0.3]
std = [0.32]
[id]
fit = {fit}
test = {test}
[[ood]]
name = "held-out"
builtin = "digits:held-out"
[[ood]]
name = "noise"
builtin = "digits:noise"
"""
_LABELLED = {"fit": '{builtin = "digits:fit"}', "test": '{builtin = "digits:test"}'}
_FLAT = {"fit": '{folder = "fit"}', "test": '{folder = "test"}'}
_HEADLESS = 'architecture = "digits_cnn"\nrandom_weights = 0\nnum_classes = 0'
_WHOLE = 'architecture = "digits_cnn"\nweights = "shipped"'


def make_home(home: Path) -> None:
    """Write the three experiments into a home and prepare them, once however many ask."""
    folder = home / "experiments"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "lock"):
        if (home / "ready").exists():
            return
        for name in ("fit", "test"):
            images = open_dataset(DataSpec(name, "builtin", f"digits:{name}"))
            (folder / name).mkdir(exist_ok=True)
            for i in range(0, len(images), 3):
                images.load(i).save(folder / name / f"{i:04}.png")
        half = _LABELLED | {"test": _FLAT["test"]}
        wanted = zip(
            (*EXPERIMENTS, HALF),
            ((_HEADLESS, _LABELLED), (_WHOLE, _FLAT), (_HEADLESS, _FLAT), (_WHOLE, half)),
            strict=True,
        )
        for name, (classifier, sets) in wanted:
            text = f'name = "{name}"\n[classifier]\n{classifier}\n{_SETS.format(**sets)}'
            (folder / f"{name}.toml").write_text(text)
            _extract(name, home)
        network = f"[classifier]\n{_HEADLESS}\n"
        alone = _SETS.partition("[[ood]]")[0].format(**_LABELLED)
        (folder / f"{ALONE}.toml").write_text(network + alone)  # stored by "headless" already
        faulty = _SETS.format(**_FLAT).replace("[[ood]]", 'classes = ["3"]\n[[ood]]', 1)
        (folder / "faulty.toml").write_text(network + faulty)  # classes without labels
        (home / "ready").touch()


def _extract(name: str, home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ood_core", "extract", name, "--quiet"],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"OOD_LENS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

"""Finding and reading experiment files: built-in ones, the user's, and any path."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ood_core.errors import ConfigError, OODLensError, did_you_mean
from ood_core.experiments.experiment import Experiment
from ood_core.experiments.parsing import parse_experiment
from ood_core.runtime.paths import experiments_dir

__all__ = ["BrokenExperiment", "is_builtin_name", "list_experiments", "load_experiment"]

_BUILTIN = Path(__file__).parent / "builtin"


@dataclass(frozen=True)
class BrokenExperiment:
    """A user's experiment file that cannot be used, and why."""

    name: str
    path: Path
    message: str


def load_experiment(name_or_path: str | os.PathLike[str]) -> Experiment:
    """Experiment of a built-in name, a name in the user's experiments folder, or a TOML file.

    Raises
    ------
    ConfigError
        When there is none, or when the file is not usable, with the key and the value.
    """
    text = os.fspath(name_or_path)
    if text.endswith(".toml") or "/" in text or os.sep in text:
        return _read(Path(text).expanduser())
    builtin = _BUILTIN / f"{text}.toml"
    if builtin.is_file():
        return _read(builtin)
    mine = experiments_dir() / f"{text}.toml"
    if mine.is_file():
        return _read(mine)
    listed = list_experiments()
    for entry in listed:
        if entry.name == text:
            if isinstance(entry, BrokenExperiment):
                raise ConfigError(entry.message)
            return entry
    raise ConfigError(
        f"unknown experiment {text!r}. {did_you_mean(text, [e.name for e in listed])} "
        "The path of a .toml file works too."
    )


def list_experiments() -> list[Experiment | BrokenExperiment]:
    """Built-in experiments (`digits` first), then the user's by file name.

    A file that cannot be used is listed as `BrokenExperiment`; it never hides the others.
    """
    builtin = sorted(_BUILTIN.glob("*.toml"), key=lambda p: (p.stem != "digits", p.stem))
    entries: list[Experiment | BrokenExperiment] = [_read(path) for path in builtin]
    taken = {entry.name for entry in entries}
    for path in sorted(experiments_dir().glob("*.toml")):
        try:
            experiment = _read(path)
            if experiment.name in taken:
                raise ConfigError(
                    f"{path.name}: name = {experiment.name!r} is taken by another experiment."
                )
            taken.add(experiment.name)
            entries.append(experiment)
        except (OODLensError, OSError) as error:
            entries.append(BrokenExperiment(path.stem, path, str(error)))
    return entries


def is_builtin_name(name: str) -> bool:
    """Whether an experiment of this name ships with OOD Lens."""
    return (_BUILTIN / f"{name}.toml").is_file()


def _read(path: Path) -> Experiment:
    if not path.is_file():
        what = "is a folder; name the .toml file in it" if path.is_dir() else "does not exist"
        raise ConfigError(f"experiment file {str(path)!r} {what}.")
    path = Path(os.path.abspath(path))
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name} is not valid TOML: {error}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8 text; save it as UTF-8.") from error
    return parse_experiment(values, path, strict=path.parent != _BUILTIN)

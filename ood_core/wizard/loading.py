"""From an experiment file, this machine's or someone else's, to a draft."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from ood_core.errors import ConfigError, OODLensError
from ood_core.experiments import load_experiment, parse_experiment
from ood_core.wizard.draft import Draft, draft_of

__all__ = ["load_draft", "parse_draft"]


def load_draft(path: str | os.PathLike[str]) -> Draft:
    """Draft of an experiment file on this machine, or of an experiment by name.

    Raises
    ------
    ConfigError
        When there is none, or it is not an experiment file. Files that it names need not exist:
        the checks say so, line by line.
    """
    try:
        return draft_of(load_experiment(path))
    except ConfigError:
        file = Path(path).expanduser()
        if not file.is_file():
            raise
        return parse_draft(file.read_bytes(), file.name)


def parse_draft(content: bytes, name: str) -> Draft:
    """Draft of an uploaded experiment file.

    Raises
    ------
    ConfigError
        When it is not TOML, or a key or value in it is not usable.
    """
    try:
        values = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not UTF-8 text; save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is not valid TOML: {error}.") from error
    values.setdefault("name", Path(name).stem)
    try:
        return draft_of(parse_experiment(values, None, strict=False))
    except OODLensError as error:
        said = str(error).removeprefix("experiment")
        raise ConfigError(f"{name}{said}" if said != str(error) else f"{name}: {said}") from error

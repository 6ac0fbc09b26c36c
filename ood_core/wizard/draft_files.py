"""From an experiment file, this machine's or someone else's, to a draft."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from pathlib import Path

from ood_core.errors import ConfigError, OODLensError
from ood_core.experiments import load_experiment, parse_experiment
from ood_core.wizard.draft import Draft, draft_of
from ood_core.wizard.set_draft import SetDraft, set_kind

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
        return parse_draft(file.read_bytes(), file.name, file.absolute().parent)


def parse_draft(content: bytes, name: str, beside: Path | None = None) -> Draft:
    """Draft of an uploaded experiment file.

    Parameters
    ----------
    content : of the file.
    name : of the file, for messages.
    beside : the file's folder where it has one: relative paths that exist there become absolute.

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
        return _found_beside(draft_of(parse_experiment(values, None, strict=False)), beside)
    except OODLensError as error:
        said = str(error).removeprefix("experiment")
        raise ConfigError(f"{name}{said}" if said != str(error) else f"{name}: {said}") from error


def _found_beside(draft: Draft, folder: Path | None) -> Draft:
    """The draft with the paths that exist in the folder written out; the others stay."""
    if folder is None:
        return draft

    def written_out(path: str) -> str:
        there = folder / Path(path).expanduser()
        return str(there) if path and there.exists() else path

    def chosen(one: SetDraft) -> SetDraft:
        if set_kind(one.source) in ("torchvision", "builtin"):
            return one
        options = dict(one.options)
        if "root" in options:
            options["root"] = written_out(options["root"])
        return dataclasses.replace(one, source=written_out(one.source), options=options)

    return dataclasses.replace(
        draft,
        checkpoint=written_out(draft.checkpoint),
        head=written_out(draft.head),
        text=written_out(draft.text),
        fit=chosen(draft.fit),
        test=chosen(draft.test),
        ood=tuple(chosen(one) for one in draft.ood),
    )

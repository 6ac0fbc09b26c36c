"""What the options of `new` ask for, and what is found in the folder that `--from` names."""

from __future__ import annotations

import argparse
import dataclasses
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.commands._terminal import Terminal
from ood_core.errors import ConfigError
from ood_core.experiments.own_code import TRUST, is_own_code

if TYPE_CHECKING:
    from ood_core.wizard import Draft, SetDraft, Survey

__all__ = ["draft_of"]

_SHOWN = 5
"""Checkpoints that are listed beside the one that is taken."""


def draft_of(args: argparse.Namespace, terminal: Terminal) -> Draft:
    """The draft that the options of `new` ask for, with what lies in the folder of `--from`."""
    from ood_core.wizard import Draft

    draft = Draft(
        name=args.name,
        title=args.name,
        architecture=args.architecture,
        checkpoint=_checkpoint(args.checkpoint, terminal),
        part=args.part,
        weights=args.weights,
        random_weights=args.random_weights,
        num_classes=args.num_classes,
        class_names=tuple(args.class_names),
        expected_accuracy=args.expected_accuracy,
        arguments=_arguments(args.arguments),
        trust=TRUST if args.trust and is_own_code(args.architecture) else "",
        fit=_listed(args.fit, "fit", args.fit_root),
        test=_listed(args.test, "test", args.test_root),
        ood=tuple(_ood(text, args.near) for text in args.ood),
    )
    return _surveyed(draft, args.folder, terminal) if args.folder else draft


def _surveyed(draft: Draft, folder: Path, terminal: Terminal) -> Draft:
    """The draft with what lies in the folder, where nothing was given, and why it was taken."""
    from ood_core.wizard import survey

    found = survey(folder, draft.fit)
    chosen: dict[str, Any] = {}
    if not (draft.checkpoint or draft.weights or draft.random_weights is not None):
        chosen["checkpoint"] = _first_of(found, folder, terminal)
    if not (draft.fit.source or draft.test.source):
        pairs = [f"{fit.source} and {test.source}" for fit, test in found.pairs]
        if not (pairs and found.certain):
            _only(pairs, "pair of fit and test images", folder)
        chosen["fit"], chosen["test"] = found.pairs[0]
    elif not draft.test.source and found.pairs and not found.pairs[0][0].source:
        chosen["test"] = found.pairs[0][1]
    if not draft.ood:
        chosen["ood"] = found.others
    for name, value in chosen.items():
        for source in [s.source for s in value] if name == "ood" else [_source(value)]:
            terminal.note(f"{name}: {source or 'none'}{_because(found, source)}")
    for one in found.unused:
        terminal.note(f"not used: {one.source}{_because(found, one.source)}")
    return dataclasses.replace(draft, **chosen)


def _first_of(found: Survey, folder: Path, terminal: Terminal) -> str:
    """The likeliest checkpoint of a folder."""
    if not found.checkpoints:
        raise ConfigError(
            f"--from {folder} holds no checkpoint. Name it with --checkpoint, or give --weights or "
            "--random-weights with an --architecture."
        )
    first, *others = map(str, found.checkpoints)
    _note_others([(source, found.why.get(source, "")) for source in others], terminal)
    return first


def _checkpoint(given: str | None, terminal: Terminal) -> str:
    """The file, or the likeliest one of a folder or a pattern."""
    from ood_core.wizard import checkpoints_at

    ranked = checkpoints_at(given or "")
    if not ranked:
        return _here(given)
    (first, why), *others = ranked
    terminal.note(f"checkpoint: {first} ({why})")
    _note_others([(str(path), reason) for path, reason in others], terminal)
    return str(first)


def _note_others(others: Sequence[tuple[str, str]], terminal: Terminal) -> None:
    for source, why in others[:_SHOWN]:
        terminal.note(f"not this checkpoint: {source} ({why}); --checkpoint names another")
    if len(others) > _SHOWN:
        terminal.note(f"and {len(others) - _SHOWN:,} more checkpoints")


def _source(value: SetDraft | str) -> str:
    return value if isinstance(value, str) else value.source


def _because(found: Survey, source: str) -> str:
    why = found.why.get(source, "")
    return f" ({why})" if why else ""


def _only(found: list[str], what: str, folder: Path) -> str:
    if len(found) == 1:
        return found[0]
    listed = f"{len(found)}: {'; '.join(found[:5])}" if found else "none"
    raise ConfigError(
        f"--from {folder} must hold one {what}, found {listed}. Name the right one, or a folder "
        "that holds one only."
    )


def _listed(path: str | None, role: str, root: Path | None) -> SetDraft:
    from ood_core.wizard import set_from

    found = set_from(_here(path), role)
    given = {"root": _here(str(root))} if root else {}
    return dataclasses.replace(found, options={**found.options, **given})


def _arguments(text: str) -> dict[str, Any]:
    """Values as TOML has them: `width = 64, names = ["a", "b"]`."""
    try:
        found: dict[str, Any] = tomllib.loads(f"a = {{ {text} }}")["a"]
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"--arguments must be NAME = VALUE with commas between, as in TOML "
            f'(width = 64, kind = "small"), got {text!r}: {error}.'
        ) from error
    return found


def _ood(text: str, near: list[str]) -> SetDraft:
    from ood_core.wizard import set_from, set_name

    name, equals, source = text.partition("=")
    if not equals:
        source, name = text, set_name(text)
    return dataclasses.replace(set_from(_here(source), name), near=name in near)


def _here(path: str | None) -> str:
    """Paths as the shell means them: relative to the working folder, where that exists."""
    return str(Path(path).expanduser().absolute()) if path and Path(path).exists() else path or ""

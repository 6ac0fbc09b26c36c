"""What the options of `new` ask for, and what is found in the folder that `--from` names."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.commands._terminal import Terminal
from ood_core.errors import ConfigError
from ood_core.experiments.experiment import FEATURES
from ood_core.experiments.own_code import TRUST, is_own_code

if TYPE_CHECKING:
    from ood_core.wizard import Draft, SetDraft, Survey

__all__ = ["draft_of"]

_OF_A_NETWORK = (
    "--arguments", "--part", "--keys", "--num-classes", "--features", "--text", "--temperature",
)  # fmt: skip
_SHOWN = 5
"""Checkpoints that are listed beside the one that is taken."""


def draft_of(args: argparse.Namespace, terminal: Terminal) -> Draft:
    """The draft that the options of `new` ask for, with what lies in the folder of `--from`."""
    from ood_core.wizard import Draft, arguments_from

    kind = _kind(args)
    draft = Draft(
        name=args.name,
        title=args.name,
        kind=kind,
        architecture="" if kind == FEATURES else args.architecture,
        checkpoint=_checkpoint(args.checkpoint, terminal),
        part=args.part,
        keys=args.keys,
        weights=args.weights,
        random_weights=args.random_weights,
        num_classes=_num_classes(args, kind),
        class_names=tuple(args.class_names),
        expected_accuracy=args.expected_accuracy,
        features=args.features,
        arguments=arguments_from(args.arguments),
        trust=TRUST if args.trust and is_own_code(args.architecture) else "",
        head=_here(args.head),
        text=_here(args.text),
        temperature=args.temperature,
        fit=_listed(args.fit, "fit", args.fit_root, kind),
        test=_listed(args.test, "test", args.test_root, kind),
        classes=tuple(args.classes),
        ood=tuple(_ood(text, args.near, kind) for text in args.ood),
    )
    draft = _surveyed(draft, args.folder, terminal) if args.folder else draft
    if draft.kind == FEATURES and (given := [one for one in _OF_A_NETWORK if _given(args, one)]):
        raise ConfigError(
            f"features that are there already need no network: leave out {given[0]}. Beside them "
            "--head, --class-names and --expected-accuracy can be given."
        )
    return draft


def _kind(args: argparse.Namespace) -> str:
    """What the user has: without any network, files of features stand for themselves."""
    from ood_core.wizard import holds_features

    network = args.checkpoint or args.weights or args.random_weights is not None
    given = [Path(path).expanduser() for path in (args.fit, args.test) if path]
    if args.architecture == FEATURES or (not network and any(map(holds_features, given))):
        if network or args.architecture not in ("", FEATURES):
            raise ConfigError(
                "features that are there already need no network: leave out --checkpoint, "
                "--weights, --random-weights and --architecture, or name images."
            )
        return FEATURES
    return "encoder" if args.num_classes == 0 or args.head or args.text else "network"


def _given(args: argparse.Namespace, option: str) -> bool:
    return getattr(args, option.removeprefix("--").replace("-", "_")) not in ("", None)


def _num_classes(args: argparse.Namespace, kind: str) -> int | None:
    """As given; a head in a file of its own stands on a network without one."""
    return 0 if kind == "encoder" and args.num_classes is None else args.num_classes


def _surveyed(draft: Draft, folder: Path, terminal: Terminal) -> Draft:
    """The draft with what lies in the folder, where nothing was given, and why it was taken."""
    from ood_core.wizard import survey, with_kind

    found = survey(folder, draft.fit, draft.kind == FEATURES)
    chosen: dict[str, Any] = {}
    network = draft.checkpoint or draft.weights or draft.random_weights is not None
    if found.features and not network:
        draft = draft if draft.kind == FEATURES else with_kind(draft, FEATURES)
        chosen["head"] = draft.head or found.head
    elif not network:
        chosen["checkpoint"] = _first_of(found, folder, terminal)
    if not (draft.fit.source or draft.test.source):
        pairs = [f"{fit.source} and {test.source}" for fit, test in found.pairs]
        if not (pairs and found.certain):
            _only(pairs, f"pair of fit and test {_sets(draft)}", folder)
        chosen["fit"], chosen["test"] = found.pairs[0]
    elif not draft.test.source and found.pairs and not found.pairs[0][0].source:
        chosen["test"] = found.pairs[0][1]
    if not draft.ood:
        chosen["ood"] = found.others
    _note_chosen(chosen, found, terminal)
    return dataclasses.replace(draft, **chosen)


def _sets(draft: Draft) -> str:
    return "features" if draft.kind == FEATURES else "images"


def _note_chosen(chosen: dict[str, Any], found: Survey, terminal: Terminal) -> None:
    for name, value in chosen.items():
        for source in [s.source for s in value] if name == "ood" else [_source(value)]:
            terminal.note(f"{name}: {source or 'none'}{_because(found, source)}")
    for one in found.unused:
        terminal.note(f"not used: {one.source}{_because(found, one.source)}")


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


def _listed(path: str | None, role: str, root: Path | None, kind: str) -> SetDraft:
    from ood_core.wizard import SetDraft, set_from

    if kind == FEATURES:
        return SetDraft(_here(path), role)
    found = set_from(_here(path), role)
    given = {"root": _here(str(root))} if root else {}
    return dataclasses.replace(found, options={**found.options, **given})


def _ood(text: str, near: list[str], kind: str) -> SetDraft:
    from ood_core.wizard import SetDraft, set_from, set_name

    name, equals, source = text.partition("=")
    if not equals:
        source, name = text, set_name(text)
    if kind == FEATURES:
        return SetDraft(_here(source), name if equals else Path(text).stem, name in near)
    return dataclasses.replace(set_from(_here(source), name), near=name in near)


def _here(path: str | None) -> str:
    """Paths as the shell means them: relative to the working folder, where that exists."""
    return str(Path(path).expanduser().absolute()) if path and Path(path).exists() else path or ""

"""What lies in a folder: checkpoints, fit and test images, and sets that may serve as OOD."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ood_core.errors import DataError
from ood_core.experiments.listing import Entries, folder_entries
from ood_core.wizard.draft import SetDraft, distinct_names

__all__ = ["CHECKPOINT_SUFFIXES", "Survey", "survey"]

CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt", ".th", ".tar", ".ckpt", ".bin")
"""File names that count as checkpoints."""

OPENOOD_NEAR = ("cifar10", "cifar100", "tin", "ssb_hard", "ninco")
"""OOD sets that OpenOOD v1.5 counts as near (arXiv 2306.09301, Table 1)."""

_FIT, _TEST = ("train", "fit", "training"), ("test", "testing", "val", "valid", "validation")
_LISTS = "benchmark_imglist"
_DEPTH = 4
_FOLDERS = 2_000
"""Folders looked into at most, so that a home folder is not read from end to end."""


@dataclass(frozen=True)
class Survey:
    """What was found, likeliest first.

    Parameters
    ----------
    checkpoints : files that may hold a network's weights.
    pairs : (fit, test) images that belong together.
    others : sets that may serve as OOD.
    """

    checkpoints: tuple[Path, ...] = ()
    pairs: tuple[tuple[SetDraft, SetDraft], ...] = ()
    others: tuple[SetDraft, ...] = ()


def survey(folder: str | os.PathLike[str]) -> Survey:
    """Look through a folder, four levels deep, without opening a file.

    A folder with `train` beside `test` or `val` gives fit and test images; other folders that
    hold images, flat or in class folders, may be OOD sets; so may the lists below OpenOOD's
    `benchmark_imglist`.

    Raises
    ------
    DataError
        When it is not a folder, or holds neither images nor checkpoints.
    """
    root = Path(folder).expanduser().absolute()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise DataError(f"{str(root)!r} {what}.")
    found = list(islice(_walk(root, 0), _FOLDERS))
    checkpoints = sorted(p for kind, p in found if kind == "checkpoint")
    pairs = [_pair(p) for kind, p in found if kind == "pair"]
    others = [SetDraft(str(p), _name(p, root)) for kind, p in found if kind == "set"]
    for kind, path in found:
        if kind == "lists":
            listed, rest = _openood(path)
            pairs += listed
            others += rest
    if not (checkpoints or pairs or others):
        raise DataError(f"{str(root)!r} holds neither images nor checkpoints.")
    return Survey(tuple(checkpoints), tuple(pairs), distinct_names(others))


def _walk(folder: Path, depth: int) -> Iterator[tuple[str, Path]]:
    """(kind, path) of what is below: "checkpoint", "pair", "set" or "lists"."""
    found = _entries(folder)
    folders, files = found.folders, found.others
    yield from (
        ("checkpoint", folder / name)
        for name in files
        if name.lower().endswith(CHECKPOINT_SUFFIXES)
    )
    if _LISTS in (folder.name, folder.parent.name):
        below = (folder,) if folder.parent.name == _LISTS else (folder / name for name in folders)
        yield from (("lists", path) for path in below)
        return
    if _LISTS in folders:  # the lists name the images beside them
        yield from _walk(folder / _LISTS, depth + 1)
        return
    names = {name.lower() for name in folders}
    if names & set(_FIT) and names & set(_TEST):
        yield "pair", folder
        return
    if found.images:
        yield "set", folder
        return
    if depth and folders and all(_entries(folder / name).images for name in folders):
        yield "set", folder
        return
    if depth < _DEPTH:
        for name in folders:
            yield from _walk(folder / name, depth + 1)


def _entries(folder: Path) -> Entries:
    """What lies in a folder, sorted, links to folders among the folders; nothing if unreadable."""
    try:
        found = folder_entries(folder)
    except OSError:
        return Entries((), (), (), (), ())
    folders = sorted((*found.folders, *found.links))
    images, others = sorted(found.images), sorted(found.others)
    return Entries(tuple(images), tuple(folders), found.links, tuple(others), found.odd)


def _pair(folder: Path) -> tuple[SetDraft, SetDraft]:
    by_name = {name.lower(): name for name in _entries(folder).folders}
    fit = next(by_name[name] for name in _FIT if name in by_name)
    test = next(by_name[name] for name in _TEST if name in by_name)
    return SetDraft(str(folder / fit), "fit"), SetDraft(str(folder / test), "test")


def _openood(folder: Path) -> tuple[list[tuple[SetDraft, SetDraft]], list[SetDraft]]:
    """Fit and test list of one OpenOOD benchmark, and the test lists of its OOD sets."""
    own, files = folder.name, _entries(folder).others
    tests = [f for f in files if f.startswith("test_") and f.endswith(".txt")]
    pairs = []
    if f"train_{own}.txt" in files and f"test_{own}.txt" in files:
        fit, test = (SetDraft(str(folder / f"{s}_{own}.txt"), s) for s in ("train", "test"))
        pairs.append((fit, test))
    names = [f.removeprefix("test_").removesuffix(".txt") for f in tests]
    return pairs, [
        SetDraft(str(folder / f"test_{name}.txt"), name, near=name in OPENOOD_NEAR)
        for name in names
        if name != own
    ]


def _name(path: Path, root: Path) -> str:
    """The folder's name; a name that says nothing gets its parent's in front."""
    if path.name.lower() in ("images", "data", "test", "val", "train") and path.parent != root:
        return f"{path.parent.name}-{path.name}"
    return path.name

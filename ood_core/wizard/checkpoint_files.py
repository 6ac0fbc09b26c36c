"""Checkpoint files in a folder, the likeliest first, and why."""

from __future__ import annotations

import glob
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from ood_core.errors import ModelError
from ood_core.experiments.network_formats import network_format
from ood_core.models.checkpoint_shards import is_index, weight_map

__all__ = ["CHECKPOINT_SUFFIXES", "checkpoints_at", "is_checkpoint", "rank_checkpoints"]

CHECKPOINT_SUFFIXES = (
    ".safetensors", ".pth", ".pt", ".th", ".tar", ".ckpt", ".bin", ".pt2", ".ts", ".onnx",
)  # fmt: skip
"""File names that count as checkpoints, those of whole networks among them."""
_INDEX = ".index.json"
"""Names of indices of shards end so."""

_DEPTH, _MOST = 4, 100_000
"""Levels below a folder, and files, that are looked through for checkpoints."""
_BESIDE = re.compile(r"(optimizer|optim|scheduler|scaler|rng_state|training_args)\b", re.IGNORECASE)
"""What training scripts save beside a network's weights."""
_NAMES = (
    (("best",), "named best"),
    (("ema", "averaged", "swa"), "averaged weights"),
    (("final", "last", "latest"), "the last one of its training"),
)
_EPOCH = re.compile(
    r"(?:epoch|ep|step|iter|ckpt|checkpoint|version)s?[=_\-. ]?(\d+)", re.IGNORECASE
)
_ENDING = re.compile(r"(?<=[_\-=.])\d+$")


def is_checkpoint(path: Path) -> bool:
    """Whether a file may hold a network's weights; its first bytes tell archives of data apart."""
    name = path.name.lower()
    if name.endswith(_INDEX):
        return is_index(path)
    if not name.endswith(CHECKPOINT_SUFFIXES) or _BESIDE.match(name):
        return False
    if not name.endswith((".tar", ".bin")):
        return True
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError:
        return False
    return start.startswith((b"PK\x03\x04", b"\x80"))


def checkpoints_at(source: str) -> tuple[tuple[Path, str], ...]:
    """Checkpoints that a folder or a pattern such as `runs/*.pt` stands for, as ranked; none
    where the source is a file, a folder that is one network, or not there.

    Raises
    ------
    ModelError
        When it is a folder, or a pattern, without checkpoints.
    """
    path = Path(source).expanduser()
    if not source or os.path.isfile(path) or network_format(path):
        return ()
    pattern = glob.has_magic(source)
    if not (pattern or os.path.isdir(path)):
        return ()
    names = glob.iglob(str(path), recursive=True) if pattern else _below(path)
    found = [p for p in map(Path, islice(names, _MOST)) if p.is_file() and is_checkpoint(p)]
    if not found:
        what = "no file matches" if pattern else "the folder holds none"
        raise ModelError(
            f"checkpoint = {source!r}: {what}. Checkpoints end in "
            f"{', '.join((*CHECKPOINT_SUFFIXES, _INDEX))}."
        )
    return rank_checkpoints(p.absolute() for p in found)


def _below(folder: Path) -> Iterator[str]:
    """Files in a folder, and up to four levels below it."""
    top = len(folder.parts)
    for here, folders, files in os.walk(folder):
        deep = len(Path(here).parts) - top >= _DEPTH
        folders[:] = [] if deep else sorted(f for f in folders if not f.startswith("."))
        yield from (os.path.join(here, name) for name in sorted(files))


def rank_checkpoints(paths: Iterable[str | os.PathLike[str]]) -> tuple[tuple[Path, str], ...]:
    """Checkpoints, the likeliest to be the finished network first, each with the reason.

    A name that says best comes first, then averaged weights, then one that says last, then the
    highest number of an epoch or step, then the newest file. Paths decide between equal ones.
    An index stands for the shards beside it that it names.
    """
    known = _without_shards(sorted(map(Path, paths)))
    numbers = {path: _number(path, known) for path in known}

    def order(path: Path) -> tuple[int, int, float]:
        number = numbers[path]
        return _name_place(path), -1 if number is None else -2 - number, -_changed(path)

    return tuple((path, _why(path, numbers[path])) for path in sorted(known, key=order))


def _without_shards(known: Sequence[Path]) -> list[Path]:
    """The checkpoints without those that are a part of another one among them."""
    shards: set[Path] = set()
    for path in known:
        if path.name.lower().endswith(_INDEX) and is_index(path):
            try:
                shards |= {path.parent / name for name in weight_map(path).values()}
            except ModelError:  # names what is not beside it: said when it is read
                continue
    return [path for path in known if path not in shards]


def _why(path: Path, number: int | None) -> str:
    place = _name_place(path)
    if place < len(_NAMES):
        return _NAMES[place][1]
    if number is not None:
        return f"epoch or step {number:,}"
    changed = _changed(path)
    return f"written {time.strftime('%Y-%m-%d %H:%M', time.localtime(changed))}" if changed else ""


def _name_place(path: Path) -> int:
    tokens = set(re.findall(r"[a-z]+", path.stem.lower()))
    return next((i for i, (words, _) in enumerate(_NAMES) if tokens & set(words)), len(_NAMES))


def _number(path: Path, known: Sequence[Path]) -> int | None:
    """Epoch or step in the name or its folder's: `epoch=11-step=110`, `checkpoint-20/model`.

    A bare number at the end counts where it is what tells files of one name apart: `resnet-50`
    alone is no step 50.
    """
    for name in (path.stem, path.parent.name):
        if found := _EPOCH.search(name):
            return int(found[1])
    ending = _ENDING.search(path.stem)
    if ending is None:
        return None
    bare = _ENDING.sub("", path.stem)
    same = [p for p in known if p.parent == path.parent and _ENDING.sub("", p.stem) == bare]
    return int(ending[0]) if len(same) > 1 else None


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0

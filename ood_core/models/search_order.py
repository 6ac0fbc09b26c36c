"""Which architectures to compare a checkpoint with first: those whose source has its words.

Building every network of torchvision and timm takes minutes. What a network's parameters are
called is written in the file that defines it, so the files tell which few are worth building.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

__all__ = ["likely_names", "words_of"]

_WELL, _POSSIBLE = 0.9, 0.6
"""Share of a checkpoint's words in a source file: from which it is likely, or worth a try."""


def words_of(names: Iterable[str]) -> frozenset[str]:
    """Parts of parameter names, without numbers: what a source file calls its modules."""
    parts = (part.rstrip("0123456789_") for name in names for part in name.split("."))
    tensors = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    return frozenset(part for part in parts if part) - tensors


def likely_names(
    names: Iterable[str], words: frozenset[str], named: Callable[[Sequence[str]], list[str]]
) -> Iterator[str]:
    """Architectures in the order in which a checkpoint with these words may be theirs.

    Collection by collection, each taken from `names` when its turn comes, because importing one
    takes seconds: those that the checkpoint names, files that have nearly all of the words, then
    files that have many. Files that lack many are left out.

    Parameters
    ----------
    names : architectures, those of one collection together.
    words : `words_of` the checkpoint.
    named : which of some architectures the checkpoint names.
    """
    later: list[str] = []
    for prefix, group in groupby(names, lambda name: name[: name.find(":") + 1]):
        members = list(group)
        first = named(members)
        yield from first
        ranked = _ranked(members, words) if prefix else [(1.0, members)]
        for share, held in ranked:
            rest = [name for name in held if name not in first]
            if share >= _WELL:
                yield from rest
            elif share >= _POSSIBLE:
                later += rest
    yield from later


def _ranked(names: Sequence[str], words: frozenset[str]) -> list[tuple[float, list[str]]]:
    """(share of the words, architectures, short names first) of each file, best first."""
    files: dict[str, list[str]] = {}
    for name in sorted(names, key=_short):
        files.setdefault(_module(name), []).append(name)
    shared = _shared(names[0].partition(":")[0])
    seen = {module: words & (_words(module) | shared) for module in files}
    # A word that few files have tells more than one that all have.
    weight = {w: 1 / max(1, sum(w in found for found in seen.values())) for w in words}
    total = sum(weight.values()) or 1.0
    ranked = [(sum(weight[w] for w in seen[m]) / total, held) for m, held in files.items()]
    return sorted(ranked, key=lambda entry: -entry[0])


def _short(name: str) -> tuple[int, str]:
    return len(name), name


@cache
def _module(name: str) -> str:
    """Module that defines an architecture of a collection."""
    package, _, short = name.partition(":")
    if package == "timm":
        import timm

        return str(timm.models.model_entrypoint(short).__module__)
    from torchvision import models

    return str(models.get_model_builder(short).__module__)


@cache
def _words(module: str) -> frozenset[str]:
    """Identifiers in a module's source and in the private modules that it imports from."""
    found = sys.modules.get(module)
    if found is None or not getattr(found, "__file__", None):
        return frozenset()
    text = Path(str(found.__file__)).read_text(encoding="utf-8")
    package = module.rpartition(".")[0]
    below = re.findall(r"^from \.(_\w+|\w+) import", text, re.MULTILINE)
    words = {w.rstrip("0123456789_") for w in re.findall(r"[A-Za-z_]\w*", text)}
    deeper = (_words(f"{package}.{name}") for name in below if f"{package}.{name}" != module)
    return frozenset(words).union(*deeper)


def _shared(package: str) -> frozenset[str]:
    """Words of the layers that all networks of a package are made of."""
    layers = [m for m in list(sys.modules) if m.startswith(f"{package}.layers.")]
    return frozenset[str]().union(*map(_words, [*layers, "torchvision.ops.misc"]))

"""Which architectures to compare a checkpoint with first: those whose source has its words.

Building every network of torchvision and timm takes minutes. What a network's parameters are
called is written in the file that defines it, so the files tell which few are worth building.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from ood_core.models.known_shapes import NOT_BUILT, known_shapes

__all__ = ["likely_names", "words_of"]

_WELL, _POSSIBLE = 0.9, 0.6
"""Share of a checkpoint's words in a source file: from which it is likely, or worth a try."""
_SAMPLED = 12
"""Files of which one network is built to see what its parameters are really called."""


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
    files that have many. Files that lack many are left out. Of the first, those whose own modules
    are called so come before those that import such layers, and of a dozen the ones with a
    network whose words are most nearly the checkpoint's.

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
    """(share of the words, architectures, short names first) of each file, likeliest first."""
    files: dict[str, list[str]] = {}
    for name in sorted(names, key=_short):
        files.setdefault(_module(name), []).append(name)
    shared = _shared(names[0].partition(":")[0])
    known = {module: words & (_words(module) | shared) for module in files}
    own = {module: words & _attributes(module) for module in files}
    share, owned = _weighted(known, words), _weighted(own, words)
    ranked = sorted(files, key=lambda m: (share[m] < _WELL, -owned[m], -share[m]))
    first = [m for m in ranked if share[m] >= _WELL][:_SAMPLED]
    first.sort(key=lambda m: -_likeness(files[m][0], words))
    return [(share[m], files[m]) for m in dict.fromkeys((*first, *ranked))]


def _weighted(found: Mapping[str, frozenset[str]], words: frozenset[str]) -> dict[str, float]:
    """Share of the words in each file; one that few files have tells more than one of all."""
    weight = {w: 1 / max(1, sum(w in held for held in found.values())) for w in words}
    total = sum(weight.values()) or 1.0
    return {module: sum(weight[w] for w in held) / total for module, held in found.items()}


def _likeness(name: str, words: frozenset[str]) -> float:
    """Words that a network's parameters share with a checkpoint's, of all words of either."""
    try:
        held = words_of(known_shapes(name))
    except NOT_BUILT:
        return 0.0
    return len(held & words) / (len(held | words) or 1)


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
def _attributes(module: str) -> frozenset[str]:
    """What the classes of a module call their layers: `self.patch_embed`, `"norm1"`."""
    found = re.findall(r"self\.([A-Za-z_]\w*)|['\"]([A-Za-z_]\w*)['\"]", _source(module))
    return frozenset(w.rstrip("0123456789_") for pair in found for w in pair if w)


@cache
def _source(module: str) -> str:
    """Text of a loaded module; empty for any other."""
    found = sys.modules.get(module)
    if found is None or not getattr(found, "__file__", None):
        return ""
    return Path(str(found.__file__)).read_text(encoding="utf-8")


@cache
def _words(module: str) -> frozenset[str]:
    """Identifiers in a module's source and in the private modules that it imports from."""
    text = _source(module)
    package = module.rpartition(".")[0]
    below = re.findall(r"^from \.(_\w+|\w+) import", text, re.MULTILINE)
    words = {w.rstrip("0123456789_") for w in re.findall(r"[A-Za-z_]\w*", text)}
    deeper = (_words(f"{package}.{name}") for name in below if f"{package}.{name}" != module)
    return frozenset(words).union(*deeper)


def _shared(package: str) -> frozenset[str]:
    """Words of the layers that all networks of a package are made of."""
    layers = [m for m in list(sys.modules) if m.startswith(f"{package}.layers.")]
    return frozenset[str]().union(*map(_words, [*layers, "torchvision.ops.misc"]))

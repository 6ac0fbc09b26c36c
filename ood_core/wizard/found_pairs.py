"""Which sets of images are the training and test part of one data set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ood_core.wizard.walking import Place

__all__ = ["Pair", "find_pairs"]


@dataclass(frozen=True)
class Pair:
    """Fit and test images that belong together.

    Parameters
    ----------
    fit, test : the parts; the test part is None where there is none.
    why : what told them.
    rank : how much tells that they are the ID images, higher is more.
    """

    fit: Place
    test: Place | None
    why: str
    rank: int = 0

    @property
    def classes(self) -> frozenset[str]:
        """Class names of the fit images, none where they are not known."""
        return self.fit.classes

    def parts(self) -> Iterator[tuple[str, Place, str]]:
        """(role, place, why) of each part."""
        yield "fit", self.fit, self.why
        if self.test is not None:
            kind = "validation" if self.test.words.split == "val" else "test"
            yield "test", self.test, f"the {kind} part of the same images"


def find_pairs(places: Sequence[Place], checkpoints: Sequence[Path]) -> list[Pair]:
    """Pairs of fit and test images, the likeliest ID images first.

    Without a pair, images that are called a training part or ID, or the one list that there is,
    are the fit images alone.
    """
    groups: dict[tuple[tuple[str, ...], str], dict[str, Place]] = {}
    for place in places:
        words = place.words
        if words.domain != "ood" and words.split:
            kind = place.kind if place.kind == "list" else "images"
            groups.setdefault((words.key, kind), {}).setdefault(words.split, place)
    pairs = [
        _ranked(group["fit"], test, checkpoints)
        for group in groups.values()
        if "fit" in group and (test := group.get("test") or group.get("val")) is not None
    ]
    pairs.sort(key=lambda pair: -pair.rank)
    return pairs or _alone(places, checkpoints)


def _ranked(fit: Place, test: Place, checkpoints: Sequence[Path]) -> Pair:
    """A pair with what tells that it holds the ID images."""
    key, why = fit.words.key, f"named {fit.path.name}, beside {test.path.name}"
    own = len(key) > 1 and key[-1] == key[-2]  # OpenOOD: cifar10/train_cifar10.txt
    if fit.words.domain == "id":
        return Pair(fit, test, f"called ID; {why}", 3)
    said = next((c.name for c in checkpoints if key and _says(c, key[-1])), None)
    if said:
        return Pair(fit, test, f"{why}; {said} says {key[-1]} too", 2)
    return Pair(fit, test, why, 1 if own else 0)


def _says(checkpoint: Path, name: str) -> bool:
    tokens = re.findall(r"[^\W_]+", checkpoint.stem.lower())
    return name in tokens and len(name) > 2


def _alone(places: Sequence[Place], checkpoints: Sequence[Path]) -> list[Pair]:
    """Fit images without a test part that is called like them."""
    inside = [p for p in places if p.words.domain != "ood"]
    rules = (
        ("called a training part", [p for p in inside if p.words.split == "fit"]),
        ("called ID", [p for p in inside if p.words.domain == "id" and not p.words.split]),
        ("the one list with labels", [
            p for p in inside if p.kind == "list" and p.labelled and not p.words.split
        ]),
    )  # fmt: skip
    for why, found in rules:
        if len(found) == 1:
            return [Pair(found[0], _test_beside(found[0], inside), why)]
    return []


def _test_beside(fit: Place, places: Sequence[Place]) -> Place | None:
    """The one test part that there is, or else the one validation part."""
    for split in ("test", "val"):
        found = [p for p in places if p.words.split == split and p is not fit]
        if len(found) == 1:
            return found[0]
    return None

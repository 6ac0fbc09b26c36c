"""What a set of images may serve as once the fit images are known: test, OOD, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ood_core.wizard.found_pairs import Pair
from ood_core.wizard.walking import Place

__all__ = ["Role", "role_of"]


@dataclass(frozen=True)
class Role:
    """What a set was taken for, "fit", "test", "ood" or "" for nothing, and why."""

    name: str
    why: str


def role_of(
    place: Place,
    pair: Pair | None,
    places: Sequence[Place],
    classes: frozenset[str],
    needs: Collection[str],
) -> Role:
    """What a set may serve as.

    Parameters
    ----------
    place : the set.
    pair : the fit and test images, where they were found.
    places : all sets, for other parts of the same data set.
    classes : class names of the fit images, none where they are not known.
    needs : of "fit" and "test" what was not found yet.
    """
    words = place.words
    called = words.domain == "ood"
    if not called and _same(place.classes, classes):
        if "test" in needs and words.split != "fit":
            return Role("test", "has the classes of the fit images: they are ID")
        return Role("", "has the classes of the fit images: more of ID, no OOD set")
    if words.domain == "id":
        return Role("", "called ID")
    if pair is not None and not called and words.key == pair.fit.words.key and words.split:
        return Role("", "another part of the ID images")
    if better := _better_part(place, places):
        return Role("", f"not needed: {better.path.name} holds images of the same kind")
    if pair is not None and _of_another_benchmark(place, pair):
        return Role("", f"a list of another benchmark than {pair.fit.path.name}")
    if called:
        return Role("ood", "called OOD")
    if "fit" in needs:
        return _undecided(place)
    if place.classes and classes:
        return Role("ood", f"other classes than the fit images: {_first(place.classes)}")
    if words.split == "fit":
        return Role("", "called a training part, of other images than the fit images")
    return Role("ood", "not part of the fit or test images")


def _undecided(place: Place) -> Role:
    """A set while no fit images are known: one with classes may be them."""
    if place.labelled or len(place.parts) <= 1:
        return Role("", "no fit images were found, so these may be ID or OOD: say which")
    return Role("ood", "a folder of images without classes")


def _same(a: frozenset[str], b: frozenset[str]) -> bool:
    """Whether two sets of class names are mostly the same; numbers mean something else in each."""
    one, two = ({n.lower() for n in names if not n.isdigit()} for names in (a, b))
    return bool(one and two) and 2 * len(one & two) >= min(len(one), len(two))


def _better_part(place: Place, places: Sequence[Place]) -> Place | None:
    """The test part of the same data set, or its validation part, instead of this one."""
    order = ("test", "val", "", "fit")
    same = [
        p for p in places
        if p.words.key == place.words.key and p.words.domain == place.words.domain
        and p.kind == place.kind and p.words.split
    ]  # fmt: skip
    better = [p for p in same if order.index(p.words.split) < order.index(place.words.split)]
    return min(better, key=lambda p: order.index(p.words.split), default=None)


def _of_another_benchmark(place: Place, pair: Pair) -> bool:
    """Lists for one network lie in one folder, as OpenOOD has them."""
    return (
        place.kind == pair.fit.kind == "list"
        and place.words.domain == ""
        and place.path.parent != pair.fit.path.parent
    )


def _first(names: frozenset[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:3]) + (", …" if len(shown) > 3 else "")

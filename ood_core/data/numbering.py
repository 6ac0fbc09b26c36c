"""How an experiment numbers its classes: once, for the fit set and the ID test set alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ood_core.errors import DataError, did_you_mean
from ood_core.experiments import DataSpec

if TYPE_CHECKING:
    from ood_core.data.image_set import ImageSet

__all__ = ["Label", "Numbering", "check_classes", "fitted_numbering", "own_numbering", "the_like"]

Label = str | int
"""A label as the source gives it: a name, or a number (-1 = unknown)."""

_NUMBER = re.compile(r"0|[1-9][0-9]*")
_REMEDY = (
    "List all class_names under [classifier] in the network's order, or give a label_map from "
    "each label to its class number."
)


@dataclass(frozen=True)
class Numbering:
    """Which class number a label stands for.

    Parameters
    ----------
    kind : "given" by `class_names`, "numbers" where labels are the class numbers, or "order"
        where names are numbered in the order of text.
    names : class names by number; None where only numbers are known.
    count : number of classes, as far as it is known.
    """

    kind: Literal["given", "numbers", "order"]
    names: tuple[str, ...] | None = None
    count: int | None = None

    @property
    def how(self) -> str:
        """In words, for a reader who must know whether the network counts so too."""
        if self.kind == "order":
            return "numbered in text order, as ImageFolder does"
        return {
            "given": "numbered by class_names",
            "numbers": "labels are class numbers",
        }[self.kind]

    def number(self, label: Label) -> int | None:
        """Class number of a label; None for a name that is no class."""
        if not isinstance(label, str):
            return label
        name = the_like(label, self.names or ())
        if self.names and name is not None:
            return self.names.index(name)
        digits = _NUMBER.fullmatch(label) and self.kind != "order"
        if not digits or any(map(_NUMBER.fullmatch, self.names or ())):
            return None
        return int(label) if int(label) < (self.count or 0) else None


def the_like(label: str, names: Iterable[str]) -> str | None:
    """The name that is meant: the same, else the one that differs only in how accents are kept.

    An accented letter is one character or two; macOS writes names of files with two.
    """
    if label in (names := tuple(names)):
        return label
    composed = unicodedata.normalize("NFC", label)
    if composed.isascii():
        return None
    return next((n for n in names if unicodedata.normalize("NFC", n) == composed), None)


def own_numbering(
    labels: Collection[Label],
    spec: DataSpec,
    folders: Sequence[str] = (),
    known: tuple[str, ...] = (),
) -> Numbering:
    """Numbering of a set that stands alone, or that the others follow.

    Names that are exactly 0 … C-1, or some of these where C is known, are numbers. Other names
    are numbered in the order of text.

    Parameters
    ----------
    labels : distinct labels after `label_map`.
    spec : for `class_names` and `num_classes`.
    folders : class folders that are there, those without images too.
    known : what the set's own numbers are called, where it says so.

    Raises
    ------
    DataError
        Where names are not as many as the classes, or names and numbers are mixed.
    """
    given, classes = spec.options.get("class_names"), spec.options.get("num_classes")
    if given:
        return Numbering("given", tuple(given), len(given))
    numbers = {label for label in labels if not isinstance(label, str) and label >= 0}
    names = {label for label in labels if isinstance(label, str)}
    if not names:
        return Numbering("numbers", known or None, classes or max(numbers, default=-1) + 1)
    if folders and len(names) != classes and classes in (None, len(folders)):
        names = set(folders)
    if all(map(_NUMBER.fullmatch, names)):
        counted = numbers | {int(name) for name in names}
        count = classes or len(counted)
        if max(counted) < count:
            return Numbering("numbers", tuple(map(str, range(count))), count)
    if numbers:
        raise DataError(
            f"data set {spec.name!r} mixes class numbers ({_some(numbers)}) and names "
            f"({_some(names)}), so its classes cannot be numbered. {_REMEDY}"
        )
    if classes and len(names) != classes:
        raise DataError(
            f"data set {spec.name!r} has {len(names)} classes ({_some(names)}) but the classifier "
            f"has {classes}, so they cannot be numbered. {_REMEDY}{_empty(folders, names)}"
        )
    return Numbering("order", tuple(sorted(names)), len(names))


def fitted_numbering(labels: Collection[Label], spec: DataSpec, fit: Numbering) -> Numbering:
    """Numbering of the ID test set: the fit set's.

    Raises
    ------
    DataError
        Where the two do not name the same classes, so that numbers would be guessed.
    """
    numbers = {label for label in labels if not isinstance(label, str) and label >= 0}
    if numbers and fit.kind == "order":
        raise DataError(
            f"data set {spec.name!r} labels its images by numbers ({_some(numbers)}) but the fit "
            f"set by names ({_some(fit.names or ())}): which number is which class is not known. "
            f"{_REMEDY}"
        )
    unknown = sorted(x for x in labels if isinstance(x, str) and fit.number(x) is None)
    if unknown and fit.kind != "given":
        theirs = (
            f"the classes of the fit set. {did_you_mean(unknown[0], fit.names)}"
            if fit.names
            else f"the numbers 0 to {(fit.count or 1) - 1} by which the fit set counts its classes."
        )
        raise DataError(
            f"data set {spec.name!r}: {unknown[0]!r} ({len(unknown)} of its {len(labels)} "
            f"labels) is not among {theirs} {_REMEDY}"
        )
    return fit


def check_classes(images: ImageSet, n_classes: int) -> None:
    """Hold an ID set's class numbers against the network, once it is known.

    Raises
    ------
    DataError
        Where a number has no output, or names in text order are not as many as the outputs.
    """
    numbers, numbering = images.labels, images.numbering
    if numbers is None or not len(numbers):
        return
    highest = int(numbers.max())
    if highest >= n_classes:
        raise DataError(
            f"data set {images.name!r}: label {highest} of {images.ids[int(numbers.argmax())]} is "
            f"out of range, the network has {n_classes} classes. Allowed: 0 to {n_classes - 1}, "
            "or -1 for unknown."
        )
    names = numbering.names if numbering and numbering.kind == "order" else None
    if names and len(names) != n_classes:
        raise DataError(
            f"data set {images.name!r} has {len(names)} classes ({_some(names)}) but the network "
            f"has {n_classes}, so they cannot be numbered. {_REMEDY}"
        )


def _empty(folders: Iterable[str], names: Collection[str]) -> str:
    """Why a class may be missing: its folder is there and holds nothing that can be read."""
    empty = [folder for folder in folders if folder not in names]
    return f" No image that can be read lies in the folder of {_some(empty)}." if empty else ""


def _some(labels: Collection[Label]) -> str:
    shown = sorted(labels, key=lambda x: (isinstance(x, str), x))
    return ", ".join(map(str, shown[:5])) + (", …" if len(shown) > 5 else "")

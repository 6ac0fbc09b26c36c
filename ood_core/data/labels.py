"""Class numbers from what a data set says: folder names, list entries, columns, label maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ood_core.data.numbering import Label, Numbering, fitted_numbering, own_numbering, the_like
from ood_core.errors import DataError, did_you_mean
from ood_core.experiments import DataSpec
from ood_core.runtime.names import shown

__all__ = ["FitNumbering", "RawLabels", "folder_labels", "number_labels"]

RawLabels = Sequence[Label]
"""A label for each image."""

FitNumbering = Callable[[], Numbering | None]

_LARGEST = 2**31


def folder_labels(ids: Sequence[str], name: str) -> list[Label] | None:
    """First folder of each path as its label; None where no image lies in a folder.

    Raises
    ------
    DataError
        When some images lie in class folders and others beside them.
    """
    outside = [i for i in ids if "/" not in i]
    if len(outside) == len(ids):
        return None
    if outside:
        raise DataError(
            f"data set {name!r}: {len(outside)} of {len(ids)} images lie beside the class folders, "
            f"the first is {shown(outside[0])}. Move them into a class folder, or set "
            'labels = "none".'
        )
    return [i.split("/", 1)[0] for i in ids]


def number_labels(
    raw: RawLabels | None,
    spec: DataSpec,
    ids: Sequence[str],
    fit: FitNumbering | None = None,
    *,
    folders: Sequence[str] = (),
    known: tuple[str, ...] = (),
) -> tuple[np.ndarray | None, Numbering | None]:
    """Class numbers (n,) of a set and how they came about; labels of an OOD set mean nothing.

    The label map is applied first. What the labels stand for then follows from the classifier's
    class names, else from the fit set, else from the labels themselves.

    Parameters
    ----------
    raw : label of each image.
    fit : gives the fit set's numbering, None where it has no labels.
    folders : class folders that are there, those without images too.
    known : what the set's own numbers are called, where it says so.

    Raises
    ------
    DataError
        On a name that is no class, labels that cannot be numbered, a number out of range, or a
        fit set of one class only.
    """
    options = spec.options
    unwanted = options.get("role") == "ood" or options.get("labels") == "none"
    if unwanted:
        return None, None
    if raw is None:
        return None, own_numbering((), spec) if options.get("class_names") else None
    mapped = _mapped(raw, options.get("label_map", {}))
    distinct = dict.fromkeys(mapped)
    _refuse_huge(mapped, distinct, spec, ids)
    if len(distinct) == 1 and isinstance(next(iter(distinct)), str):
        _refuse_one_class(spec, next(iter(distinct)))
    followed = None if fit is None or options.get("class_names") else _of_fit(fit, distinct, spec)
    plain = own_numbering(distinct, spec, folders, known) if followed is None else followed
    if known and _by_name(plain, known, spec):
        mapped = [known[label] if label >= 0 else label for label in map(int, mapped)]
        distinct = dict.fromkeys(mapped)
    if followed is not None:
        _check_range(_only_numbers(mapped), followed, spec, ids)  # said before what else is wrong
    numbering = plain if followed is None else fitted_numbering(distinct, spec, followed)
    if not known:
        _refuse_names_as_numbers(raw, numbering.names or (), spec)
    numbers = _numbers(mapped, distinct, numbering, spec)
    _check_range(numbers, numbering, spec, ids)
    return numbers, numbering


def _refuse_names_as_numbers(raw: RawLabels, names: Sequence[str], spec: DataSpec) -> None:
    """Refuse numbers that may as well be names: 1 where the first class is called "1"."""
    label_map = spec.options.get("label_map", {})
    place = {int(name): i for i, name in enumerate(names) if name.isascii() and name.isdigit()}
    if all(number == i for number, i in place.items()):
        return
    numbers = {x for x in raw if not isinstance(x, str) and x >= 0 and str(x) not in label_map}
    moved = sorted(x for x in numbers if place.get(x, x) != x)
    if moved and numbers <= place.keys():
        first = moved[0]
        called = f"{names[first]!r}" if first < len(names) else "which there is not"
        name = names[place[first]]
        raise DataError(
            f"data set {spec.name!r}: label {first} may be class number {first} ({called}) or the "
            f"class called {name!r} (number {place[first]}). Give a label_map: "
            f'{{ "{first}" = "{name}", … }} where labels are names, {{ "{first}" = {first}, … }} '
            "where they are class numbers."
        )


def _refuse_huge(
    labels: Sequence[Label], distinct: Iterable[Label], spec: DataSpec, ids: Sequence[str]
) -> None:
    """Refuse numbers that no array of class numbers holds."""
    for label in distinct:
        if not isinstance(label, str) and abs(label) > _LARGEST:
            raise DataError(
                f"data set {spec.name!r}: label {label} of {ids[labels.index(label)]} is out of "
                "range. Labels are class numbers 0, 1, 2, …, or -1 for unknown."
            )


def _only_numbers(labels: Sequence[Label]) -> np.ndarray:
    return np.array([-1 if isinstance(label, str) else label for label in labels], np.int64)


def _of_fit(fit: FitNumbering, labels: Iterable[Label], spec: DataSpec) -> Numbering | None:
    """The fit set's numbering; where the set cannot be opened, only numbers need none."""
    try:
        return fit()
    except DataError as error:
        if all(not isinstance(label, str) for label in labels):
            return None
        raise DataError(
            f"data set {spec.name!r}: its classes are numbered as the fit set's are, which cannot "
            f"be opened: {error}"
        ) from error


def _by_name(numbering: Numbering, known: tuple[str, ...], spec: DataSpec) -> bool:
    """Whether a set's own numbers are to be read by the names that it has for them.

    Raises
    ------
    DataError
        Where the fit set counts classes of other names.
    """
    if not numbering.names or numbering.names == known:
        return False
    known = tuple(the_like(name, numbering.names) or name for name in known)
    places = {name: i for i, name in enumerate(numbering.names)}
    if set(known) <= places.keys():
        return True
    moved = [name for i, name in enumerate(known) if places.get(name, i) != i]
    if moved:
        raise DataError(
            f"data set {spec.name!r} calls class {known.index(moved[0])} {moved[0]!r}, which is "
            f"class {places[moved[0]]} of the classifier, and has names that are none of its "
            "classes. Give a label_map from its names to the classifier's."
        )
    if numbering.kind == "numbers" and not all(map(str.isdigit, numbering.names)):
        raise DataError(
            f"data set {spec.name!r} has other classes ({', '.join(known[:5])}, …) than the fit "
            f"set ({', '.join(numbering.names[:5])}, …), so the same number would be two classes. "
            "List class_names under [classifier] in the network's order and give a label_map."
        )
    return False


def _mapped(raw: RawLabels, label_map: Mapping[str, Label]) -> list[Label]:
    if not label_map:
        return list(raw)
    known = {label: the_like(str(label), label_map) for label in dict.fromkeys(raw)}
    return [label if (name := known[label]) is None else label_map[name] for label in raw]


def _numbers(
    labels: Sequence[Label],
    distinct: Iterable[Label],
    numbering: Numbering,
    spec: DataSpec,
) -> np.ndarray:
    number = {label: numbering.number(label) for label in distinct}
    for label, found in number.items():
        if found is None:
            raise DataError(
                f"data set {spec.name!r}: {label!r} is not a class of the classifier. "
                f"{did_you_mean(str(label), numbering.names or ())} Rename it, give a label_map, "
                'or set labels = "none" when these names are not classes.'
            )
    return np.fromiter((number[label] for label in labels), np.int64, len(labels))


def _check_range(
    numbers: np.ndarray, numbering: Numbering, spec: DataSpec, ids: Sequence[str]
) -> None:
    names = numbering.names
    counted = names and numbering.kind != "numbers"  # such numbers may leave the last ones out
    classes = spec.options.get("num_classes") or (len(names) if names and counted else None)
    bad = np.flatnonzero((numbers < -1) | (numbers >= (classes or np.inf)))
    if len(bad):
        allowed = f"0 to {classes - 1}" if classes else "0 and above"
        raise DataError(
            f"data set {spec.name!r}: label {numbers[bad[0]]} of {shown(ids[bad[0]])} is out of "
            f"range ({len(bad)} of {len(numbers)} are). Allowed: {allowed}, or -1 for unknown."
        )
    known = np.unique(numbers[numbers >= 0])
    if len(known) == 1:
        _refuse_one_class(spec, names[known[0]] if names and counted else known[0])


def _refuse_one_class(spec: DataSpec, what: object) -> None:
    if spec.options.get("role") == "fit":
        raise DataError(
            f"data set {spec.name!r} holds images of one class only ({what}); a fit set needs "
            f'several. {_OTHERS.get(spec.kind, "Add the others")}, or set labels = "none".'
        )


_OTHERS = {
    "folder": "Name the folder in which the class folders themselves lie",
    "zip": "Have the class folders at the top of the archive, or in a folder with nothing else",
}

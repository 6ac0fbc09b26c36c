"""From the tables of an experiment file to an `Experiment`."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ood_core.errors import ConfigError, did_you_mean
from ood_core.experiments.experiment import (
    FEATURES,
    ClassifierSpec,
    DataSpec,
    Experiment,
    Preprocessing,
)
from ood_core.experiments.parsing_classifier import (
    parse_classifier,
    parse_features_classifier,
)
from ood_core.experiments.parsing_sets import ood_spec, set_spec
from ood_core.experiments.reading import Table

__all__ = ["LARGEST_SIDE", "checked_preprocessing", "parse_experiment", "parse_preprocessing"]

LARGEST_SIDE = 4096
"""Most pixels that images may be resized or cropped to: a typing error must not fill the memory."""

OTHERS = "other classes"
"""Name of the OOD set that a one-class experiment makes of the ID test set's other classes."""

_TAKEN = "With [id] classes that is the name of the ID test set's other classes."
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,99}")


def parse_experiment(
    values: Mapping[str, Any], path: Path | None = None, *, strict: bool = True
) -> Experiment:
    """Check the tables of an experiment file and return the experiment.

    Parameters
    ----------
    values : the parsed TOML.
    path : the file; relative paths in it are looked up beside it first.
    strict : whether missing or empty folders are errors. Built-in experiments name data that
        may have to be fetched first, so for them it is a status (`dataset_status`).

    Raises
    ------
    ConfigError
        On anything unknown, missing, empty or of the wrong type.

    Examples
    --------
    >>> found = parse_experiment({
    ...     "name": "mine", "classifier": {"architecture": "digits_cnn", "random_weights": 0},
    ...     "id": {"fit": {"builtin": "digits:fit"}, "test": {"builtin": "digits:test"}},
    ... })
    >>> found.fit_set, found.test_set, found.ood_sets
    ('fit', 'test', ())
    """
    where = path.name if path else "experiment"
    allowed = ("name", "title", "description", "classifier", "preprocessing", "id", "ood")
    top = Table(values, where, (*allowed, "detectors"))
    name = _name(top, path.stem if path else None)
    beside = path.parent if path and strict else None
    features = _of_features(top)
    parse = parse_features_classifier if features else parse_classifier
    classifier = parse(top, beside, strict)
    sets, ood, near = _sets(top, beside, strict, classifier)
    _check_kinds(sets, features, where)
    preprocessing = None
    if "preprocessing" in top:
        if features:
            raise ConfigError(
                f"{where}: [preprocessing] is what images go through, and the sets of this "
                "experiment are features. Leave it out."
            )
        preprocessing = parse_preprocessing(top.values["preprocessing"], f"{where} [preprocessing]")
    return Experiment(
        name=name,
        title=top.text("title") or name,
        classifier=classifier,
        preprocessing=preprocessing,
        sets=sets,
        ood_sets=ood,
        near=near,
        description=" ".join((top.text("description") or "").split()),
        detectors=_detectors(top),
        path=path,
    )


def _of_features(top: Table) -> bool:
    """Whether features come from elsewhere: the fit set says so, or the classifier."""
    sets, classifier = top.values.get("id"), top.values.get("classifier")
    fit = sets.get("fit") if isinstance(sets, Mapping) else None
    named = isinstance(classifier, Mapping) and classifier.get("architecture") == FEATURES
    return named or (isinstance(fit, Mapping) and "features" in fit)


def _check_kinds(sets: Mapping[str, DataSpec], features: bool, where: str) -> None:
    """All sets of an experiment are features, or none is."""
    other = next((s for s in sets.values() if (s.kind == "features") is not features), None)
    if other is None:
        return
    if features:
        raise ConfigError(
            f"{where}: the set {other.name!r} is of the kind {other.kind}, but this experiment's "
            "features come from elsewhere and there is no network to compute others with: write "
            f'{{ features = "{other.name}.npz" }} for every set.'
        )
    raise ConfigError(
        f"{where}: the set {other.name!r} holds features, but the fit set holds images: write "
        '{ features = "fit.npz" } for every set, or images for every set.'
    )


def _name(top: Table, default: str | None) -> str:
    name = top.text("name") or default
    if name is None:
        raise ConfigError(f"{top.where}: name is missing; it is required.")
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{top.where}: name = {name!r} must begin with a letter or digit and hold only "
            "letters, digits, spaces and . _ + -, 100 at most."
        )
    return name


def parse_preprocessing(values: Any, where: str = "preprocessing") -> Preprocessing:
    """Check a [preprocessing] table, which messages name `where`.

    Raises
    ------
    ConfigError
        On anything unknown, out of range or of the wrong type.
    """
    table = Table(values, where, [f.name for f in dataclasses.fields(Preprocessing)])
    mode = table.choice("mode", ("RGB", "L"), "RGB")
    channels = 3 if mode == "RGB" else 1
    mean = table.numbers("mean") or (0.0,) * channels
    std = table.numbers("std") or (1.0,) * channels
    for key, numbers in (("mean", mean), ("std", std)):
        if len(numbers) != channels:
            raise table.error(key, f"{channels} number{'s'[: channels > 1]} for mode {mode!r}")
        if not all(map(math.isfinite, numbers)):
            raise table.error(key, "finite numbers")
    if min(std) <= 0:
        raise table.error("std", "numbers above 0")
    return Preprocessing(
        resize=_resize(table),
        center_crop=_side(table, "center_crop"),
        mean=mean,
        std=std,
        interpolation=table.choice(
            "interpolation", ("nearest", "bilinear", "bicubic", "box", "lanczos"), "bilinear"
        ),
        mode=mode,
    )


def checked_preprocessing(found: Preprocessing) -> Preprocessing:
    """What a file beside a network states, held to the rules of a [preprocessing] table.

    Raises
    ------
    ConfigError
        As `parse_preprocessing`.
    """
    values = {key: value for key, value in vars(found).items() if value is not None}
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    return parse_preprocessing(plain, "its preprocessing")


def _resize(table: Table) -> int | tuple[int, int] | None:
    """One number for the shorter side, or [height, width]."""
    value = table.values.get("resize")
    if not isinstance(value, list):
        return _side(table, "resize")
    whole = all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in value)
    if len(value) != 2 or not whole:
        raise table.error("resize", f"[height, width], whole numbers of 1 to {LARGEST_SIDE} pixels")
    return value[0], value[1]


def _side(table: Table, key: str) -> int | None:
    side = table.whole(key)
    if side is not None and side > LARGEST_SIDE:
        raise table.error(key, f"a whole number of 1 to {LARGEST_SIDE} pixels")
    return side


def _sets(
    top: Table, beside: Path | None, strict: bool, classifier: ClassifierSpec
) -> tuple[dict[str, DataSpec], tuple[str, ...], tuple[str, ...]]:
    """All sets by name, the OOD names in order, and those that are near."""
    table = top.table("id", ("fit", "test", "classes"))
    fit = set_spec(table, "fit", beside, strict)
    test = set_spec(table, "test", beside, strict)
    known = _class_options(classifier)
    sets = {
        spec.name: DataSpec(spec.name, spec.kind, spec.source, {**spec.options, **known})
        for spec in (fit, test)
    }
    sets = _of_classes(table, sets, classifier)
    entries = top.values.get("ood", [])
    if not isinstance(entries, list):
        raise top.error("ood", "a list of tables: write [[ood]] before each OOD set")
    near = []
    for number, entry in enumerate(entries, 1):
        spec, is_near = ood_spec(entry, f"{top.where} [[ood]] {number}", beside, strict)
        if spec.name in sets:
            raise ConfigError(
                f"{top.where}: two data sets are called {spec.name!r}."
                + (f" {_TAKEN}" if spec.name == OTHERS else "")
            )
        sets[spec.name] = spec
        near += [spec.name] * is_near
    return sets, tuple(s for s in sets if s not in ("fit", "test")), tuple(near)


def _of_classes(
    table: Table, sets: dict[str, DataSpec], classifier: ClassifierSpec
) -> dict[str, DataSpec]:
    """The ID sets with `classes` alone, and the test set's other classes as an OOD set."""
    chosen = table.texts("classes")
    if chosen is None:
        return sets
    names = classifier.class_names or ()
    unknown = [name for name in chosen if names and name not in names]
    if unknown:
        raise ConfigError(
            f"{table.where}: classes names {unknown[0]!r}, which is none of class_names. "
            f"{did_you_mean(unknown[0], names)}"
        )
    test = sets["test"]
    others = DataSpec(OTHERS, test.kind, test.source, {**test.options, "other_than": chosen})
    kept = {
        name: replace(spec, options={**spec.options, "classes": chosen})
        for name, spec in sets.items()
    }
    return {**kept, OTHERS: others}


def _class_options(classifier: ClassifierSpec) -> dict[str, Any]:
    """What the ID sets must know to number their classes as the classifier does.

    Without `class_names` the fit set numbers the test set's classes too; see `Experiment`.
    """
    options: dict[str, Any] = {}
    if classifier.num_classes:
        options["num_classes"] = classifier.num_classes
    if classifier.class_names:
        options["class_names"] = classifier.class_names
    return options


def _detectors(top: Table) -> dict[str, dict[str, Any]]:
    values = top.values.get("detectors", {})
    if not isinstance(values, Mapping):
        raise top.error("detectors", "tables such as [detectors.line]")
    for name, params in values.items():
        if not isinstance(params, Mapping):
            raise ConfigError(
                f"{top.where}: detectors.{name} must be a table of parameters, got {params!r}. "
                f"Write [detectors.{name}] and its parameters below."
            )
    return {name: dict(params) for name, params in values.items()}

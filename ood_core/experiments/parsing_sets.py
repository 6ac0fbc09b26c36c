"""The data sets of an experiment file: one kind each, options, and where the files are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ood_core.errors import ConfigError, DataError, did_you_mean
from ood_core.experiments.experiment import DataSpec
from ood_core.experiments.listing import holds_image, what_instead
from ood_core.experiments.reading import Table
from ood_core.experiments.sources import (
    BUILTIN_SOURCES,
    SET_KINDS,
    TORCHVISION_SETS,
    resolve,
)

__all__ = ["RESERVED", "ood_spec", "set_spec"]

RESERVED = ("all", "detector", "far-OOD", "layer", "mean", "near-OOD", "params", "seconds")
"""Names that no OOD set can have: results have columns and choices that are called so."""

_SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,99}")


def set_spec(id_table: Table, name: str, beside: Path | None, strict: bool) -> DataSpec:
    """The fit or test set under [id]."""
    if name not in id_table:
        raise ConfigError(
            f'{id_table.where}: {name} is missing; write for example {name} = {{ folder = "…" }}.'
        )
    return _spec(id_table.values[name], name, f"{id_table.where} {name}", beside, strict, name)


def ood_spec(values: Any, where: str, beside: Path | None, strict: bool) -> tuple[DataSpec, bool]:
    """One [[ood]] entry, and whether it counts as near."""
    everything = {key for kind in SET_KINDS.values() for key in kind.options}
    table = Table(values, where, ("name", "near", *SET_KINDS, *sorted(everything)))
    name = table.required_text("name")
    if not _SET_NAME.fullmatch(name):
        raise table.error(
            "name",
            "letters, digits, spaces and . _ + -, at most 100, beginning with a letter or digit",
        )
    if name in RESERVED:
        raise ConfigError(
            f"{where}: name = {name!r} is what results call a column of theirs; choose another "
            f"(taken: {', '.join(RESERVED)})."
        )
    near = table.flag("near")
    rest = {key: value for key, value in table.values.items() if key not in ("name", "near")}
    return _spec(rest, name, f"{where} ({name})", beside, strict, "ood"), near


def _spec(
    values: Any, name: str, where: str, beside: Path | None, strict: bool, role: str
) -> DataSpec:
    if not isinstance(values, Mapping):
        raise ConfigError(f'{where} must be a table such as {{ folder = "…" }}, got {values!r}.')
    kind = _kind(values, where)
    table = Table(values, where, (kind, *SET_KINDS[kind].options))
    source = table.required_text(kind)
    options = {"role": role, **_options(table)}
    if SET_KINDS[kind].on_disk:
        source = _source(table, kind, source, beside, strict)
        if "thumbnails" in options:  # the name of an array where there is no such folder
            options["thumbnails"] = _thumbnails(options["thumbnails"], beside, strict)
        if "root" in options:
            options["root"] = _existing(table, "root", str(options["root"]), beside, strict)
    else:
        known = TORCHVISION_SETS if kind == "torchvision" else BUILTIN_SOURCES
        if source == "LSUN":
            raise ConfigError(
                f"{where}: LSUN comes as LMDB files that torchvision cannot download. Unpack its "
                "images (or the LSUN crop and resize sets of 32 x 32 pixels) and name the folder."
            )
        if source not in known:
            raise ConfigError(
                f"{where}: {kind} = {source!r} is not known. {did_you_mean(source, known)}"
            )
        if kind == "torchvision":
            splits = TORCHVISION_SETS[source]
            options["split"] = table.choice("split", splits, splits[0])
    return DataSpec(name, kind, source, options)


def _kind(values: Mapping[str, Any], where: str) -> str:
    given = [kind for kind in SET_KINDS if kind in values]
    if len(given) == 1:
        return given[0]
    unknown = [key for key in values if all(key not in kind.options for kind in SET_KINDS.values())]
    if not given and unknown:
        near = did_you_mean(unknown[0], SET_KINDS)
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}. {near}")
    raise ConfigError(
        f"{where}: give exactly one of {', '.join(SET_KINDS)}; got {' and '.join(given) or 'none'}."
    )


def _options(table: Table) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key in ("limit", "per_class", "count"):
        if key in table:
            options[key] = table.whole(key)
    for key in ("root", "obtain", "path_column", "label_column", "thumbnails"):
        if key in table:
            options[key] = table.text(key)
    if "labels" in table:
        options["labels"] = table.choice("labels", ("auto", "none"), "auto")
    if "label_map" in table:
        options["label_map"] = _label_map(table)
    return options


def _label_map(table: Table) -> dict[str, int | str]:
    values = table.values["label_map"]
    wanted = "a table from a label to a class number or class name, as { cat = 3 }"
    if not isinstance(values, Mapping) or not values:
        raise table.error("label_map", wanted)
    for value in values.values():
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise table.error("label_map", wanted)
    return dict(values)


_ARRAYS = (
    " A list, table or zip of images has another key. Features are features = …, for every set of "
    "an experiment and without a network (wizard: Features I already have)."
)


def _source(table: Table, kind: str, given: str, beside: Path | None, strict: bool) -> str:
    """The set's file or folder; in strict reading it must exist and not be empty."""
    source = _existing(table, kind, given, beside, strict)
    if not strict:
        return source
    if kind == "folder":
        if not Path(source).is_dir():
            raise ConfigError(
                f"{table.where}: folder = {given!r} is a file, not a folder.{_ARRAYS}"
            )
        try:
            empty = not holds_image(source)
        except DataError as error:
            raise ConfigError(f"{table.where}: {kind} = {given!r}: {error}") from error
        if empty:
            raise ConfigError(
                f"{table.where}: folder = {given!r} holds no images ({source}). Put image files "
                "(JPEG, PNG, …) in it or in its subfolders."
            )
    elif kind == "features" and Path(source).is_dir():
        if not any(Path(source).glob("*.npy")):
            raise ConfigError(
                f"{table.where}: features = {given!r} is a folder without a .npy file ({source}). "
                "Name a file of arrays, or a folder with features.npy, labels.npy, …"
            )
    elif not Path(source).is_file():
        instead = what_instead(Path(source).stat().st_mode)
        raise ConfigError(f"{table.where}: {kind} = {given!r} is a {instead}.")
    return source


def _thumbnails(given: str, beside: Path | None, strict: bool) -> str:
    found, _ = resolve(given, beside)
    return str(found) if strict and found is not None and found.is_dir() else given


def _existing(table: Table, key: str, given: str, beside: Path | None, strict: bool) -> str:
    found, places = resolve(given, beside)
    if found is None and strict:
        looked = ", ".join(str(p) for p in places)
        raise ConfigError(f"{table.where}: {key} = {given!r} does not exist. Looked at {looked}.")
    return str(found) if found and strict else given

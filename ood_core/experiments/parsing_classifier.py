"""The [classifier] table of an experiment file: which network, and where its weights are."""

from __future__ import annotations

from pathlib import Path

from ood_core.errors import ConfigError
from ood_core.experiments.checkpoint_folders import what_to_name
from ood_core.experiments.experiment import IN_ORDER, ClassifierSpec
from ood_core.experiments.network_formats import NETWORK_FORMATS, network_format
from ood_core.experiments.reading import Table
from ood_core.experiments.sources import resolve

__all__ = ["parse_classifier"]


def parse_classifier(top: Table, beside: Path | None, strict: bool) -> ClassifierSpec:
    """The [classifier] table of a file.

    Parameters
    ----------
    top : the whole file.
    beside : its folder, where relative paths are looked up first.
    strict : whether a checkpoint that is not there is an error.

    Raises
    ------
    ConfigError
        On what is missing, unknown, contradictory or not there.
    """
    keys = ("architecture", "checkpoint", "weights", "random_weights")
    more = ("part", "num_classes", "class_names", "expected_accuracy", "obtain", "features", "keys")
    table = top.table("classifier", (*keys, *more))
    given = [key for key in keys[1:] if key in table]
    if len(given) != 1:
        raise ConfigError(
            f"{table.where}: give exactly one of checkpoint (a file), weights (a name) or "
            f"random_weights (a seed); got {' and '.join(given) or 'none'}."
        )
    part = table.text("part")
    if part is not None and "checkpoint" not in table:
        raise ConfigError(
            f"{table.where}: part = {part!r} names weights in a checkpoint, but there is "
            f"{given[0]} = … in its place: leave part out."
        )
    num_classes = _num_classes(table)
    names = table.texts("class_names")
    if names and num_classes is not None and len(names) != num_classes:
        raise ConfigError(
            f"{table.where}: class_names has {len(names)} names but num_classes = {num_classes}."
        )
    checkpoint = _checkpoint(table, beside, strict)
    return ClassifierSpec(
        architecture=_architecture(table, checkpoint),
        checkpoint=checkpoint,
        part=part,
        weights=table.text("weights"),
        random_weights=table.whole("random_weights", 0),
        num_classes=len(names) if names and num_classes is None else num_classes,
        class_names=names,
        expected_accuracy=table.share("expected_accuracy"),
        obtain=table.text("obtain"),
        features=table.text("features"),
        keys=_keys(table),
    )


def _keys(table: Table) -> str | None:
    keys = table.text("keys")
    if keys is None:
        return None
    if keys != IN_ORDER:
        raise table.error("keys", f'"{IN_ORDER}", which goes by order and shapes, not by names')
    if "checkpoint" not in table:
        raise ConfigError(f"{table.where}: keys = {keys!r} needs a checkpoint: leave keys out.")
    return keys


def _num_classes(table: Table) -> int | None:
    value = table.values.get("num_classes")
    if value is None:
        return None
    if type(value) is not int or value < 0 or value == 1:
        raise table.error(
            "num_classes", "a whole number of at least 2, or 0 for a network without a head"
        )
    return value


def _architecture(table: Table, checkpoint: Path | None) -> str:
    """The name given; a file or folder that holds a whole network needs none."""
    found = network_format(checkpoint) if checkpoint is not None else None
    given = table.text("architecture") or found
    if given is None:
        raise ConfigError(
            f"{table.where}: architecture is missing; it is required, except for a checkpoint that "
            f"holds the whole network ({', '.join(NETWORK_FORMATS)})."
        )
    if given in NETWORK_FORMATS and checkpoint is not None and checkpoint.exists():
        if found is None:
            raise ConfigError(
                f"{table.where}: architecture = {given!r}, but {checkpoint.name} is not of that "
                "format. Leave architecture out for a file that holds the whole network."
            )
        if found != given:
            raise ConfigError(
                f"{table.where}: architecture = {given!r}, but {checkpoint.name} is {found!r}."
            )
    return given


def _checkpoint(table: Table, beside: Path | None, strict: bool) -> Path | None:
    given = table.text("checkpoint")
    if given is None:
        return None
    found, places = resolve(given, beside)
    if found is None and strict:
        looked = ", ".join(str(p) for p in places)
        raise ConfigError(
            f"{table.where}: checkpoint = {given!r} does not exist. Looked at {looked}."
        )
    if found is not None and found.is_dir() and network_format(found) is None:
        raise ConfigError(
            f"{table.where}: checkpoint = {given!r} is a folder; {what_to_name(found)}"
        )
    return found or Path(given)

"""The [classifier] table of an experiment file: which network, and where its weights are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ood_core.errors import ConfigError
from ood_core.experiments.checkpoint_folders import what_to_name
from ood_core.experiments.experiment import FEATURES, ClassifierSpec
from ood_core.experiments.model_folders import folder_has_head
from ood_core.experiments.network_formats import NETWORK_FORMATS, network_format
from ood_core.experiments.own_code import TRUST, is_own_code, resolved
from ood_core.experiments.parsing_weights import parse_keys, parse_part
from ood_core.experiments.reading import Table
from ood_core.experiments.sources import resolve
from ood_core.experiments.text_names import text_names

__all__ = ["CLASSIFIER_KEYS", "FEATURES_KEYS", "parse_classifier", "parse_features_classifier"]

CLASSIFIER_KEYS = tuple(field.name for field in dataclasses.fields(ClassifierSpec))
"""Keys of the table: the fields of what it becomes, so that parser, writer and wizard agree."""
FEATURES_KEYS = ("architecture", "head", "class_names", "expected_accuracy", "obtain")
"""Those of an experiment whose features come from elsewhere."""


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
    table = top.table("classifier", CLASSIFIER_KEYS)
    given = [key for key in ("checkpoint", "weights", "random_weights") if key in table]
    if len(given) != 1:
        raise ConfigError(
            f"{table.where}: give exactly one of checkpoint (a file), weights (a name) or "
            f"random_weights (a seed); got {' and '.join(given) or 'none'}."
        )
    num_classes = _num_classes(table)
    head, text, temperature = _own_head(table, beside, strict)
    names = _names(table, text)
    if head is not None or text is not None:
        num_classes = 0
    if names and num_classes and len(names) != num_classes:
        raise ConfigError(
            f"{table.where}: class_names has {len(names)} names but num_classes = {num_classes}."
        )
    checkpoint = _checkpoint(table, beside, strict)
    architecture = _architecture(table, checkpoint)
    if num_classes is None and not names and checkpoint and not folder_has_head(checkpoint):
        num_classes = 0
    own = is_own_code(architecture)
    return ClassifierSpec(
        architecture=_own(table, architecture, beside, strict) if own else architecture,
        checkpoint=checkpoint,
        part=parse_part(table, architecture, checkpoint),
        weights=table.text("weights"),
        random_weights=table.whole("random_weights", 0),
        num_classes=len(names) if names and num_classes is None else num_classes,
        class_names=names,
        expected_accuracy=table.share("expected_accuracy"),
        obtain=table.text("obtain"),
        features=table.text("features"),
        arguments=_arguments(table, own),
        trust=_trust(table, architecture, own),
        keys=parse_keys(table, architecture),
        head=head,
        text=text,
        temperature=temperature,
    )


def _own(table: Table, architecture: str, beside: Path | None, strict: bool) -> str:
    """Code of one's own, with the file's place."""
    if "weights" in table:
        raise ConfigError(
            f"{table.where}: weights names published weights, and {architecture!r} is your own "
            "code: give checkpoint, a file with its state dict, or random_weights."
        )
    if "features" in table:
        raise ConfigError(
            f"{table.where}: features names a tensor in a file that holds the whole network, and "
            f"{architecture!r} is your own code: leave features out. Where its features are is "
            "found by its last linear layer."
        )
    try:
        return resolved(architecture, beside, strict)
    except ConfigError as error:
        raise ConfigError(f"{table.where}: {error}") from error


def _arguments(table: Table, own: bool) -> dict[str, Any]:
    """What one's own code is called with."""
    given = table.values.get("arguments", {})
    if not isinstance(given, Mapping):
        raise table.error("arguments", "a table of keyword arguments, [classifier.arguments]")
    if given and not own:
        raise ConfigError(
            f"{table.where}: arguments are for code of your own, such as architecture = "
            '"nets/my_net.py:MyNet"; other architectures take none. Leave them out.'
        )
    wrong = [name for name in given if not name.isidentifier()]
    if wrong:
        raise ConfigError(
            f"{table.where}: {wrong[0]!r} in arguments is no name of a Python parameter."
        )
    return dict(given)


def _trust(table: Table, architecture: str, own: bool) -> str | None:
    """The sentence that lets code of one's own run, once this machine's user agrees too."""
    given = table.values.get("trust")
    if given is not None and given != TRUST:
        raise table.error("trust", f'"{TRUST}", word for word')
    if own and given is None:
        raise ConfigError(
            f"{table.where}: architecture = {architecture!r} is Python code, which can do "
            f'anything once it runs. Read it; then write trust = "{TRUST}" below it, or add '
            "--trust to the command that makes the file. "
            "(Names without code are built in, torchvision:NAME or timm:NAME.)"
        )
    return None if given is None else str(given)


def parse_features_classifier(top: Table, beside: Path | None, strict: bool) -> ClassifierSpec:
    """The [classifier] table of an experiment whose features come from elsewhere; may be absent.

    Raises
    ------
    ConfigError
        On what only a network has, and on a head that is not there.
    """
    values = top.values.get("classifier", {})
    where = f"{top.where} [classifier]"
    known = set(CLASSIFIER_KEYS) - set(FEATURES_KEYS)
    network = [key for key in values if key in known] if isinstance(values, Mapping) else []
    given = values.get("architecture", FEATURES) if isinstance(values, Mapping) else FEATURES
    if network or given != FEATURES:
        what = network[0] if network else f"architecture = {given!r}"
        raise ConfigError(
            f"{where}: {what} is of a network, but the sets of this experiment are features that "
            f"were computed elsewhere. Keys here: {', '.join(FEATURES_KEYS[1:])}; leave out "
            "the others, or name images in [id] and [[ood]]."
        )
    table = Table(values, where, FEATURES_KEYS)
    names = table.texts("class_names")
    return ClassifierSpec(
        architecture=FEATURES,
        num_classes=len(names) if names else None,
        class_names=names,
        expected_accuracy=table.share("expected_accuracy"),
        obtain=table.text("obtain"),
        head=_file(table, "head", beside, strict),
    )


def _own_head(
    table: Table, beside: Path | None, strict: bool
) -> tuple[Path | None, Path | None, float | None]:
    """`head`, `text` and `temperature`: a head beside the network."""
    given = [key for key in ("head", "text") if key in table]
    if len(given) > 1:
        raise ConfigError(f"{table.where}: give head or text, not both.")
    if given and table.values.get("num_classes", 0) != 0:
        raise table.error(
            "num_classes", f"left out, or 0: the classes are those of {given[0]} = …, on a network "
            "without a head of its own",
        )  # fmt: skip
    temperature = table.values.get("temperature")
    if temperature is not None:
        number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
        if not number or not 0 < temperature < math.inf:
            raise table.error("temperature", "a number above 0")
        if "text" not in table:
            raise ConfigError(
                f"{table.where}: temperature is that of a zero-shot head: give text = … too, or "
                "leave it out."
            )
    return (
        _file(table, "head", beside, strict),
        _file(table, "text", beside, strict),
        None if temperature is None else float(temperature),
    )


def _file(table: Table, key: str, beside: Path | None, strict: bool) -> Path | None:
    """A file that a key names, or None."""
    given = table.text(key)
    if given is None:
        return None
    found, places = resolve(given, beside)
    if (found is None or not found.is_file()) and strict:
        looked, what = ", ".join(map(str, places)), "is not a file" if found else "does not exist"
        raise ConfigError(f"{table.where}: {key} = {given!r} {what}. Looked at {looked}.")
    return found or Path(given)


def _names(table: Table, text: Path | None) -> tuple[str, ...] | None:
    """`class_names`, or the names that lie with the embeddings of texts."""
    given, names = table.texts("class_names"), None if text is None else text_names(text)
    if not names:
        return given
    if given and given != names:
        raise ConfigError(
            f"{table.where}: class_names must be the names in {str(text)!r} in their order, "
            f"{', '.join(names[:4])}, …; got {', '.join(given[:4])}, …. Leave class_names out."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or "" in names:
        what = f"names {', '.join(twice[:3])} more than once" if twice else "has an empty name"
        raise ConfigError(f"{table.where}: text = {str(text)!r} {what}.")
    return names


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
    if given.startswith(":"):
        raise ConfigError(
            f"{table.where}: architecture = {given!r} says no file or module before the colon. "
            'Write "my_net.py:MyNet", or a name such as timm:resnet18.'
        )
    if found == "huggingface" and given != found and checkpoint is not None:
        raise ConfigError(
            f"{table.where}: architecture = {given!r}, but {checkpoint.name} is a folder that says "
            f"itself which network it holds; {what_to_name(checkpoint)}"
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

"""An experiment in the making: what a user typed, and the `Experiment` that it describes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ood_core.errors import ConfigError
from ood_core.experiments import Experiment, Preprocessing, parse_experiment
from ood_core.experiments.parsing_sets import RESERVED
from ood_core.experiments.sources import BUILTIN_SOURCES, SET_KINDS, TORCHVISION_SETS, file_kind

__all__ = [
    "Draft",
    "SetDraft",
    "distinct_names",
    "draft_of",
    "new_experiment",
    "set_kind",
    "set_name",
    "tables",
]

_TORCHVISION = "torchvision:"


@dataclass(frozen=True)
class SetDraft:
    """One image set as typed.

    Parameters
    ----------
    source : a folder, an image list (.txt), a table (.csv, .tsv, .json, .parquet), a zip, or
        "torchvision:NAME" for a set that torchvision downloads.
    name : of an OOD set.
    near : whether an OOD set counts as near.
    options : further keys of the experiment file: `root`, `split`, `limit`, `labels`, …
    """

    source: str = ""
    name: str = ""
    near: bool = False
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """What was chosen so far; nothing is checked yet, empty means not chosen.

    Exactly one of `checkpoint`, `weights` and `random_weights` makes an experiment.
    """

    name: str = ""
    title: str = ""
    architecture: str = ""
    checkpoint: str = ""
    part: str = ""
    weights: str = ""
    random_weights: int | None = None
    num_classes: int | None = None
    class_names: tuple[str, ...] = ()
    expected_accuracy: float | None = None
    head: str = ""
    text: str = ""
    temperature: float | None = None
    preprocessing: Preprocessing | None = None
    fit: SetDraft = SetDraft()
    test: SetDraft = SetDraft()
    ood: tuple[SetDraft, ...] = ()
    detectors: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    description: str = ""

    def sets(self) -> dict[str, SetDraft]:
        """Every set by the name that it will have."""
        return {"fit": self.fit, "test": self.test} | {s.name: s for s in self.ood}


def new_experiment(draft: Draft, beside: Path | None = None) -> Experiment:
    """The experiment that a draft describes, checked as its file will be.

    Parameters
    ----------
    draft : the choices.
    beside : folder that relative paths are looked up in first.

    Raises
    ------
    ConfigError
        On what is missing, unknown or not there, with the key and the value.
    """
    if not draft.name:
        raise ConfigError("the experiment needs a name, for example my-network.")
    for role, chosen in (("fit", draft.fit), ("test", draft.test)):
        if not chosen.source:
            raise ConfigError(
                f"the {role} images are missing: name a folder, an image list, a table or a zip."
            )
    path = (beside or Path.cwd()) / "draft.toml"
    try:
        return dataclasses.replace(parse_experiment(tables(draft), path), path=None)
    except ConfigError as error:  # there is no file yet that a message could name
        raise ConfigError(str(error).removeprefix(path.name).lstrip(": ")) from error


def tables(draft: Draft) -> dict[str, Any]:
    """The draft as the tables of an experiment file."""
    values: dict[str, Any] = {"name": draft.name, "classifier": classifier_table(draft)}
    values |= {k: v for k in ("title", "description") if (v := getattr(draft, k))}
    if draft.preprocessing is not None:
        found = vars(draft.preprocessing)
        values["preprocessing"] = {k: _plain(v) for k, v in found.items() if v is not None}
    values["id"] = {"fit": set_table(draft.fit), "test": set_table(draft.test)}
    values["ood"] = [ood_table(s) for s in draft.ood]
    values["detectors"] = {k: dict(v) for k, v in draft.detectors.items()}
    return values


def classifier_table(draft: Draft) -> dict[str, Any]:
    """The [classifier] table."""
    keys = (
        "architecture", "checkpoint", "part", "weights", "random_weights", "num_classes",
        "class_names", "expected_accuracy", "head", "text", "temperature",
    )  # fmt: skip
    values = {key: getattr(draft, key) for key in keys}
    return {k: _plain(v) for k, v in values.items() if v not in (None, "", ())}


def set_table(chosen: SetDraft) -> dict[str, Any]:
    """The table of one set; its kind follows from what the source is."""
    source, kind = chosen.source.strip(), set_kind(chosen.source)
    return {kind: source.removeprefix(_TORCHVISION), **chosen.options}


def set_kind(source: str) -> str:
    """Kind of data set that a source names: "folder", "image_list", "manifest", "zip", …"""
    source = source.strip()
    if source in BUILTIN_SOURCES:
        return "builtin"
    if source.startswith(_TORCHVISION) or (
        source in TORCHVISION_SETS and not Path(source).exists()
    ):
        return "torchvision"
    path = Path(source).expanduser()
    return "folder" if path.is_dir() else file_kind(path.name) or "folder"


def set_name(source: str) -> str:
    """Name for an OOD set: that of its folder or file, of what experiment files allow in names.

    >>> set_name("/data/My drawings (2)")
    'My drawings -2-'
    """
    last = source.strip().removeprefix(_TORCHVISION).rstrip("/").rpartition("/")[2]
    stem = Path(last).stem if set_kind(source) != "folder" else last
    plain = re.sub(r"[^A-Za-z0-9._+ -]", "-", stem).lstrip("._+ -")
    return plain[:95] or "ood"  # of 100 allowed, so that a number can follow


def distinct_names(sets: Iterable[SetDraft]) -> tuple[SetDraft, ...]:
    """The sets with usable names that differ from each other and from fit and test."""
    taken, out = {"fit", "test", *RESERVED}, []
    for chosen in sets:
        plain = set_name(chosen.name or chosen.source)
        name, number = plain, 2
        while name in taken:
            name, number = f"{plain}-{number}", number + 1
        taken.add(name)
        out.append(dataclasses.replace(chosen, name=name))
    return tuple(out)


def ood_table(chosen: SetDraft) -> dict[str, Any]:
    """One [[ood]] entry."""
    near = {"near": True} if chosen.near else {}
    return {"name": chosen.name, **set_table(chosen), **near}


def draft_of(experiment: Experiment) -> Draft:
    """The draft that gives an experiment back: to change a copy of it."""

    def chosen(name: str) -> SetDraft:
        spec = experiment.sets[name]
        kept = {k: v for k, v in spec.options.items() if k in SET_KINDS[spec.kind].options}
        prefix = _TORCHVISION if spec.kind == "torchvision" else ""
        return SetDraft(prefix + spec.source, name, name in experiment.near, kept)

    spec = experiment.classifier
    return Draft(
        name=experiment.name,
        title=experiment.title,
        architecture=spec.architecture,
        checkpoint=str(spec.checkpoint or ""),
        part=spec.part or "",
        weights=spec.weights or "",
        random_weights=spec.random_weights,
        num_classes=spec.num_classes,
        class_names=spec.class_names or (),
        expected_accuracy=spec.expected_accuracy,
        head=str(spec.head or ""),
        text=str(spec.text or ""),
        temperature=spec.temperature,
        preprocessing=experiment.preprocessing,
        fit=chosen(experiment.fit_set),
        test=chosen(experiment.test_set),
        ood=tuple(chosen(name) for name in experiment.ood_sets),
        detectors=experiment.detectors,
        description=experiment.description,
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

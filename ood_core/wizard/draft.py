"""An experiment in the making: what a user typed, and the `Experiment` that it describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ood_core.errors import ConfigError, did_you_mean
from ood_core.experiments import ClassifierSpec, Experiment, Preprocessing, parse_experiment
from ood_core.experiments.experiment import FEATURES
from ood_core.experiments.network_formats import network_format
from ood_core.experiments.own_code import TRUST, is_own_code
from ood_core.experiments.parsing_classifier import CLASSIFIER_KEYS, FEATURES_KEYS
from ood_core.experiments.sources import SET_KINDS, resolve
from ood_core.wizard.kinds import KINDS, kind_of
from ood_core.wizard.set_draft import NOTHING, TORCHVISION, SetDraft, ood_table, set_table

__all__ = [
    "Draft",
    "draft_of",
    "new_experiment",
    "tables",
    "with_architecture",
    "with_head",
    "with_kind",
    "with_weights",
]


@dataclass(frozen=True)
class Draft:
    """What was chosen so far; nothing is checked yet, empty means not chosen.

    The fields that `ClassifierSpec` has too are the keys of the [classifier] table, and mean what
    they mean there. Exactly one of `checkpoint`, `weights` and `random_weights` makes a network.

    Parameters
    ----------
    kind : what the user has, one of `wizard.kinds.KINDS`.
    classes : those of the ID sets that alone count as ID; empty: all.
    """

    name: str = ""
    title: str = ""
    kind: str = "network"
    architecture: str = ""
    checkpoint: str = ""
    part: str = ""
    keys: str = ""
    weights: str = ""
    random_weights: int | None = None
    num_classes: int | None = None
    class_names: tuple[str, ...] = ()
    expected_accuracy: float | None = None
    obtain: str = ""
    features: str = ""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    trust: str = ""
    head: str = ""
    text: str = ""
    temperature: float | None = None
    preprocessing: Preprocessing | None = None
    fit: SetDraft = NOTHING
    test: SetDraft = NOTHING
    classes: tuple[str, ...] = ()
    ood: tuple[SetDraft, ...] = ()
    detectors: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    description: str = ""

    @property
    def headless(self) -> bool:
        """Whether there are features alone: no head of the network's own, and none beside it."""
        return self.num_classes == 0 and not self.head and not self.text

    def sets(self) -> dict[str, SetDraft]:
        """Every set by the name that it will have."""
        return {"fit": self.fit, "test": self.test} | {s.name: s for s in self.ood}


def with_kind(draft: Draft, kind: str) -> Draft:
    """The draft of a user who has something else: what cannot be meant any more is emptied.

    Parameters
    ----------
    draft : the choices so far.
    kind : one of KINDS.

    Raises
    ------
    ConfigError
        When there is no such kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"{kind!r} is not what the wizard asks for. {did_you_mean(kind, KINDS)}")
    fields: dict[str, Any] = {"kind": kind}
    if "features" in (kind, draft.kind):
        kept = ("name", "title", "description", "class_names", "expected_accuracy", "head")
        return _of_kind(Draft(**{key: getattr(draft, key) for key in kept}, **fields))
    if "hub" in (kind, draft.kind):
        return _of_kind(with_weights(dataclasses.replace(draft, **fields)))
    return _of_kind(dataclasses.replace(draft, **fields))


def _of_kind(draft: Draft) -> Draft:
    """The draft without what its kind does not ask for."""
    if draft.kind == "network":  # it has a head of its own
        draft = dataclasses.replace(draft, head="", text="", temperature=None)
    if draft.kind != FEATURES:
        draft = with_head(draft, draft.head, draft.text, draft.temperature)
    if draft.headless:  # an accuracy and names of classes that it does not tell apart
        draft = dataclasses.replace(draft, class_names=(), expected_accuracy=None)
    return draft


def with_head(
    draft: Draft, head: str = "", text: str = "", temperature: float | None = None
) -> Draft:
    """The draft with a head in a file of its own, or without one; its network then has none.

    Parameters
    ----------
    draft : the choices so far.
    head : file with the weight and bias of a linear layer.
    text : file with embeddings of the classes' texts.
    temperature : what their cosines are divided by; None for the usual one.
    """
    none = draft.kind == "encoder" or bool(head or text)
    given = draft.num_classes if draft.kind == "network" else None
    return dataclasses.replace(
        draft, head=head, text=text, temperature=temperature if text else None,
        num_classes=0 if none else given or None,
    )  # fmt: skip


def with_weights(draft: Draft, checkpoint: str = "", random_weights: int | None = None) -> Draft:
    """The draft with other weights: what was found out or chosen of the former is emptied.

    Code of one's own stays, as no file says that it is meant, but for a file that holds the whole
    network.
    """
    file = resolve(checkpoint, Path.cwd())[0] if checkpoint else None
    own = is_own_code(draft.architecture) and (file is None or network_format(file) is None)
    draft = draft if own else with_architecture(draft, "")
    return dataclasses.replace(
        draft, checkpoint=checkpoint, random_weights=random_weights, part="", weights="", keys="",
        features="", preprocessing=None,
        num_classes=0 if draft.kind == "encoder" or draft.head or draft.text else None,
    )  # fmt: skip


def with_architecture(
    draft: Draft, architecture: str, arguments: Mapping[str, Any] | None = None
) -> Draft:
    """The draft with another architecture; of code of one's own the file says that it may run.

    Whether it does run is asked apart from that, for what the code contains (`code_request`).
    """
    own = is_own_code(architecture)
    return dataclasses.replace(
        draft, architecture=architecture, preprocessing=None, trust=TRUST if own else "",
        arguments=dict(arguments or {}) if own else {},
    )  # fmt: skip


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
            raise ConfigError(_lacks(role, draft.kind))
    path = (beside or Path.cwd()) / "draft.toml"
    try:
        return dataclasses.replace(parse_experiment(tables(draft), path), path=None)
    except ConfigError as error:  # there is no file yet that a message could name
        raise ConfigError(str(error).removeprefix(path.name).lstrip(": ")) from error


def _lacks(role: str, kind: str) -> str:
    if kind == FEATURES:
        return f"the {role} features are missing: name a file of arrays such as {role}.npz."
    return f"the {role} images are missing: name a folder, an image list, a table or a zip."


def tables(draft: Draft) -> dict[str, Any]:
    """The draft as the tables of an experiment file."""
    values: dict[str, Any] = {"name": draft.name, "classifier": classifier_table(draft)}
    values |= {k: v for k in ("title", "description") if (v := getattr(draft, k))}
    if draft.preprocessing is not None:
        found = vars(draft.preprocessing)
        values["preprocessing"] = {k: _plain(v) for k, v in found.items() if v is not None}
    kind = FEATURES if draft.kind == FEATURES else None
    values["id"] = {"fit": set_table(draft.fit, kind), "test": set_table(draft.test, kind)}
    if draft.classes:
        values["id"]["classes"] = list(draft.classes)
    values["ood"] = [ood_table(s, kind) for s in draft.ood]
    values["detectors"] = {k: dict(v) for k, v in draft.detectors.items()}
    return values


def classifier_table(draft: Draft) -> dict[str, Any]:
    """The [classifier] table: what was chosen of its keys."""
    if draft.kind == FEATURES:
        values = {key: getattr(draft, key) for key in FEATURES_KEYS} | {"architecture": FEATURES}
    else:
        values = {key: getattr(draft, key) for key in CLASSIFIER_KEYS}
        if not is_own_code(draft.architecture):  # what was typed for another architecture
            values = {k: v for k, v in values.items() if k not in ("arguments", "trust")}
    return {k: _plain(v) for k, v in values.items() if not _empty(v)}


def draft_of(experiment: Experiment) -> Draft:
    """The draft that gives an experiment back: to change a copy of it."""

    def chosen(name: str) -> SetDraft:
        spec = experiment.sets[name]
        kept = {k: v for k, v in spec.options.items() if k in SET_KINDS[spec.kind].options}
        prefix = TORCHVISION if spec.kind == "torchvision" else ""
        return SetDraft(prefix + spec.source, name, name in experiment.near, kept)

    return Draft(
        name=experiment.name,
        title=experiment.title,
        kind=kind_of(experiment.classifier),
        preprocessing=experiment.preprocessing,
        fit=chosen(experiment.fit_set),
        test=chosen(experiment.test_set),
        classes=experiment.id_classes,
        ood=tuple(
            chosen(name)
            for name in experiment.ood_sets
            if "other_than" not in experiment.sets[name].options  # made of `classes`
        ),
        detectors=experiment.detectors,
        description=experiment.description,
        **_typed(experiment.classifier),
    )


def _typed(spec: ClassifierSpec) -> dict[str, Any]:
    """The keys of a classifier as a draft has them: paths as text, what is absent left out."""
    given = {key: getattr(spec, key) for key in CLASSIFIER_KEYS}
    return {k: str(v) if isinstance(v, Path) else v for k, v in given.items() if not _empty(v)}


def _empty(value: Any) -> bool:
    """Whether a value says nothing: 0 classes and the seed 0 say something."""
    return value is None or value is False or (isinstance(value, Sized) and not len(value))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

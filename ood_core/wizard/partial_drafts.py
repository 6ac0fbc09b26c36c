"""Parts of a draft as experiments of their own, so that one mistake does not hide the others."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.data import open_dataset
from ood_core.errors import ConfigError, DataError, OODLensError
from ood_core.experiments import Experiment
from ood_core.experiments.own_code import is_own_code
from ood_core.experiments.sources import resolve
from ood_core.experiments.text_names import text_names
from ood_core.models import (
    TRAINED_HERE,
    code_request,
    load_model,
    model_fingerprint,
    trust_code,
)
from ood_core.models.published_weights import published_weights
from ood_core.wizard.draft import Draft, new_experiment
from ood_core.wizard.set_draft import SetDraft

if TYPE_CHECKING:
    from ood_core.experiments import ClassifierSpec, Preprocessing
    from ood_core.models import CodeRequest, LoadedModel

__all__ = ["draft_code", "load_classifier", "only_classifier", "only_set", "trust_draft"]

_FIT, _TEST = SetDraft("digits:fit"), SetDraft("digits:test")
"""Sets that are always there, in place of those of the draft."""

_UNLABELLED = SetDraft("digits:noise")
"""In place of a fit set that is not there: the classes of the test set do not follow it."""


def only_classifier(draft: Draft) -> Experiment:
    """The draft's classifier and preprocessing, on sets that are always there.

    Raises
    ------
    ConfigError
        When the classifier's fields are not usable.
    """
    return new_experiment(dataclasses.replace(draft, name="draft", fit=_FIT, test=_TEST, ood=()))


def draft_code(draft: Draft) -> CodeRequest | None:
    """What has to be agreed to before the draft's own code is run; None where nothing has.

    Raises
    ------
    ConfigError, ModelError
        When the classifier's fields are not usable, or the code is not there.
    """
    return code_request(only_classifier(draft)) if is_own_code(draft.architecture) else None


def trust_draft(draft: Draft, digest: str | None = None, by: str = "page") -> str:
    """Agree that the draft's own code runs here, as `ood_core.models.trust_code`; the hash."""
    return trust_code(only_classifier(draft), digest, by)


def load_classifier(draft: Draft) -> LoadedModel:
    """The draft's classifier, loaded; kept until another one is asked for.

    It is not the one that extraction keeps: that is locked while it trains or loads another.

    Raises
    ------
    ConfigError, ModelError
        When it cannot be used.
    """
    exp = only_classifier(draft)
    if exp.classifier.weights == TRAINED_HERE:
        raise ConfigError('weights = "trained-here" cannot be tried here: only extraction trains.')
    return _loaded(exp.classifier, exp.preprocessing, model_fingerprint(exp))


@lru_cache(maxsize=1)
def _loaded(
    spec: ClassifierSpec, preprocessing: Preprocessing | None, fingerprint: str
) -> LoadedModel:
    stand_in = new_experiment(
        Draft("draft", architecture="any", random_weights=0, fit=_FIT, test=_TEST)
    )
    return load_model(dataclasses.replace(stand_in, classifier=spec, preprocessing=preprocessing))


def only_set(draft: Draft, name: str) -> Experiment:
    """One set of the draft, with the classes that the draft's classifier and fit set give it.

    Raises
    ------
    ConfigError
        When the set's source or options are not usable.
    """
    if draft.kind == "features":
        return _only_features(draft, name)
    if not draft.class_names and (draft.num_classes is None or draft.text):
        draft = dataclasses.replace(draft, class_names=_known_names(draft))
    alone = Draft(
        name="draft", architecture="any", random_weights=0,
        num_classes=draft.num_classes, class_names=draft.class_names,
        classes=draft.classes if name in ("fit", "test") and draft.fit.source else (),
        fit=draft.fit if name in ("fit", "test") and draft.fit.source else _UNLABELLED,
        test=draft.test if name == "test" else _TEST,
        ood=tuple(s for s in draft.ood if s.name == name),
    )  # fmt: skip
    try:
        found = new_experiment(alone)
        if name == "test":
            open_dataset(found.sets[found.fit_set])  # whose classes those of the test set follow
        return found
    except (ConfigError, DataError):
        if name != "test":
            raise
        return new_experiment(dataclasses.replace(alone, fit=_UNLABELLED))  # its own line says it


def _only_features(draft: Draft, name: str) -> Experiment:
    """One set of features, standing in for the others too."""
    chosen = draft.sets()[name]
    alone = dataclasses.replace(
        draft, name="draft", head="", test=chosen, ood=(chosen,) if chosen in draft.ood else (),
        fit=draft.fit if name == "test" and draft.fit.source else chosen,
        classes=draft.classes if chosen not in draft.ood else (),
    )  # fmt: skip
    try:
        found = new_experiment(alone)
        open_dataset(found.sets[found.fit_set])
        return found
    except (ConfigError, DataError):
        if name != "test":
            raise
        try:
            return new_experiment(dataclasses.replace(alone, fit=chosen, classes=()))
        except ConfigError as error:  # the same file stands for both
            raise ConfigError(str(error).replace("[id] fit", "[id] test", 1)) from error


def _known_names(draft: Draft) -> tuple[str, ...]:
    """Class names of published weights or text embeddings, as the classifier will have them."""
    if draft.text:
        file = resolve(draft.text, Path.cwd())[0]
        return (file and text_names(file)) or ()
    try:
        found = published_weights(draft.architecture, draft.weights) if draft.weights else None
    except OODLensError:
        return ()
    return (found.class_names or ()) if found is not None else ()

"""From an `Experiment` to the TOML file that gives it back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ood_core.errors import ConfigError
from ood_core.experiments.experiment import ClassifierSpec, DataSpec, Experiment
from ood_core.experiments.loading import is_builtin_name
from ood_core.experiments.sources import SET_KINDS
from ood_core.runtime.paths import data_roots, experiments_dir
from ood_core.runtime.toml_text import toml_text

__all__ = ["save_experiment", "to_toml"]


def save_experiment(
    experiment: Experiment, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> Path:
    """Write an experiment file and return its path.

    Parameters
    ----------
    experiment : what to write.
    path : the file; by default `NAME.toml` in the user's experiments folder.
    overwrite : whether an existing file may be replaced.

    Raises
    ------
    ConfigError
        When the file exists, the folder does not, or the name is a built-in experiment's.
    """
    if path is None and is_builtin_name(experiment.name):
        raise ConfigError(
            f"name = {experiment.name!r} is a built-in experiment's; choose another name."
        )
    target = Path(path or experiments_dir() / f"{experiment.name}.toml").expanduser()
    if target.exists() and not overwrite:
        raise ConfigError(
            f"{str(target)!r} exists; choose another name, or replace it (--force, overwrite=True)."
        )
    if not target.parent.is_dir():
        raise ConfigError(f"the folder {str(target.parent)!r} does not exist.")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(to_toml(experiment, target.absolute().parent), "utf-8")
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ConfigError(f"{str(target)!r} cannot be written ({error.strerror}).") from error
    return target


def to_toml(experiment: Experiment, folder: Path | None = None) -> str:
    """TOML of an experiment.

    Parameters
    ----------
    experiment : what to write.
    folder : where the file will lie. Paths below it, or below a data root, are written
        relative, so that the file can be shared with the data beside it.
    """
    fit, test = (experiment.sets[s] for s in (experiment.fit_set, experiment.test_set))
    preprocessing = experiment.preprocessing
    text = toml_text(
        {
            "name": experiment.name,
            "title": experiment.title,
            "description": experiment.description or None,
            "classifier": _classifier(experiment.classifier, folder),
            "preprocessing": None if preprocessing is None else vars(preprocessing),
            "id": {
                "fit": _set(fit, folder),
                "test": _set(test, folder),
                "classes": experiment.id_classes or None,
            },
            "detectors": experiment.detectors or None,
        }
    )
    for name in experiment.ood_sets:
        if "other_than" in experiment.sets[name].options:
            continue  # made of [id] classes
        near = {"near": True} if name in experiment.near else {}
        entry = toml_text({"ood": {"name": name, **_set(experiment.sets[name], folder), **near}})
        # As [[ood]], the form in the documents: tomli_w writes short ones as one inline list.
        text += "\n" + entry.replace("[ood]", "[[ood]]", 1)
    return text


def _classifier(spec: ClassifierSpec, folder: Path | None) -> dict[str, Any]:
    values = dict(vars(spec))
    if spec.features_only:
        values["num_classes"] = None  # follows from class_names
    for key in ("checkpoint", "head", "text"):
        if values[key] is not None:
            values[key] = _relative(str(values[key]), folder)
    return values


def _set(spec: DataSpec, folder: Path | None) -> dict[str, Any]:
    is_file = SET_KINDS[spec.kind].on_disk
    values: dict[str, Any] = {spec.kind: _relative(spec.source, folder) if is_file else spec.source}
    for key in SET_KINDS[spec.kind].options:
        if key in spec.options:
            value = spec.options[key]
            is_path = key in ("root", "thumbnails")
            values[key] = _relative(str(value), folder) if is_path else value
    return values


def _relative(path: str, folder: Path | None) -> str:
    """The path as a file in `folder` should name it: relative where that finds the same place."""
    if not os.path.isabs(path):
        return path
    places = (*((folder,) if folder else ()), *data_roots())
    for place in places:
        if Path(path).is_relative_to(place):
            relative = Path(path).relative_to(place)
            found = next((p / relative for p in places if (p / relative).exists()), None)
            if found == Path(path):
                return relative.as_posix()
    return path

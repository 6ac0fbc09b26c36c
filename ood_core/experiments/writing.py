"""From an `Experiment` to the TOML file that gives it back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ood_core.errors import ConfigError
from ood_core.experiments.experiment import ClassifierSpec, DataSpec, Experiment
from ood_core.experiments.loading import is_builtin_name
from ood_core.experiments.parsing_sets import OPTIONS
from ood_core.experiments.sources import FILE_KINDS
from ood_core.runtime.paths import data_roots, experiments_dir

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
    top = {"name": experiment.name, "title": experiment.title}
    if experiment.description:
        top["description"] = experiment.description
    sections = [_pairs(top), _section("[classifier]", _classifier(experiment.classifier, folder))]
    if experiment.preprocessing is not None:
        sections.append(_section("[preprocessing]", vars(experiment.preprocessing)))
    fit, test = (experiment.sets[s] for s in (experiment.fit_set, experiment.test_set))
    sections.append(_section("[id]", {"fit": _set(fit, folder), "test": _set(test, folder)}))
    for name in experiment.ood_sets:
        near = {"near": True} if name in experiment.near else {}
        entry = {"name": name, **_set(experiment.sets[name], folder), **near}
        sections.append(_section("[[ood]]", entry))
    for detector, params in experiment.detectors.items():
        sections.append(_section(f"[detectors.{_key(detector)}]", params))
    return "\n\n".join(sections) + "\n"


def _classifier(spec: ClassifierSpec, folder: Path | None) -> dict[str, Any]:
    values = dict(vars(spec))
    if spec.checkpoint is not None:
        values["checkpoint"] = _relative(str(spec.checkpoint), folder)
    return values


def _set(spec: DataSpec, folder: Path | None) -> dict[str, Any]:
    is_file = spec.kind in FILE_KINDS
    values: dict[str, Any] = {spec.kind: _relative(spec.source, folder) if is_file else spec.source}
    for key in OPTIONS[spec.kind]:
        if key in spec.options:
            value = spec.options[key]
            values[key] = _relative(str(value), folder) if key == "root" else value
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


def _section(header: str, values: Mapping[str, Any]) -> str:
    return f"{header}\n{_pairs(values)}".rstrip()


def _pairs(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{_key(k)} = {_value(v)}" for k, v in values.items() if v is not None)


def _key(key: str) -> str:
    plain = key and all(c.isascii() and (c.isalnum() or c in "_-") for c in key)
    return key if plain else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {inner} }}"
    if isinstance(value, str | Path):
        return _text(str(value))
    if isinstance(value, Iterable):
        return f"[{', '.join(_value(v) for v in value)}]"
    return repr(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

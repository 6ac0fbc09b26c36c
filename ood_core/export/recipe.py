"""A recipe: everything that a view of the dashboard shows, in a file that runs without it."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.activations.record import PENULTIMATE
from ood_core.detectors import canonical_name, make_detector
from ood_core.errors import ConfigError, did_you_mean
from ood_core.runtime.toml_text import toml_text
from ood_core.scoring.params import own_params, params_text

if TYPE_CHECKING:
    from ood_core.experiments import Experiment
    from ood_core.scoring.score_set import ScoreSet

__all__ = ["Recipe", "is_recipe", "load_recipe", "of_view", "score_command"]

VERSION = 1
_KEYS = ("recipe", "experiment", "detector", "layer", "ood_sets", "at", "params", "results")
_HEADER = """\
# A view of OOD Lens. Run it: python -m ood_core benchmark THIS_FILE
# The results are what the view showed; `benchmark` says when it finds other numbers.
"""


@dataclass(frozen=True)
class Recipe:
    """One view: experiment, detector with parameters, layer, OOD sets, threshold rule.

    Parameters
    ----------
    experiment : name or path.
    detector, params, layer : what scores; an alias becomes the canonical name.
    ood_sets : names, in order; all of the experiment's when empty.
    at : threshold rule, as for `score --at`.
    results : OOD set -> (auroc, fpr95) that the view showed, rates in 0 to 1.
    """

    experiment: str
    detector: str
    params: Mapping[str, Any] = field(default_factory=dict)
    layer: str | None = None
    ood_sets: tuple[str, ...] = ()
    at: str = "tpr=0.95"
    results: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "detector", canonical_name(self.detector))

    def to_toml(self) -> str:
        """Text of the recipe file."""
        values = {
            "recipe": VERSION,
            "experiment": self.experiment,
            "detector": self.detector,
            "layer": self.layer,
            "ood_sets": self.ood_sets,
            "at": self.at,
            "params": {k: v for k, v in self.params.items() if v is not None} or None,
            "results": {name: {"auroc": a, "fpr95": f} for name, (a, f) in self.results.items()}
            or None,
        }
        return _HEADER + toml_text(values)

    def differences(self, scores: ScoreSet, tolerance: float = 1e-6) -> list[str]:
        """One sentence per result that is not what the recipe holds."""
        found = []
        for name, (auroc, fpr95) in self.results.items():
            if name not in scores.ood:
                continue
            e = scores.evaluate(name)
            for label, was, now in (("AUROC", auroc, e.auroc), ("FPR95", fpr95, e.fpr95)):
                if abs(was - now) > tolerance:
                    found.append(
                        f"{name}: {label} was {100 * was:.2f} %, is {100 * now:.2f} % now "
                        "(other weights, images or version)."
                    )
        return found


def of_view(
    scores: ScoreSet, experiment: str, at: str = "tpr=0.95", *, layerwise: bool = False
) -> Recipe:
    """Recipe of a score set as shown."""
    results = {n: (scores.evaluate(n).auroc, scores.evaluate(n).fpr95) for n in scores.ood}
    return Recipe(
        experiment=experiment,
        detector=scores.detector,
        params=dict(scores.params),
        layer=scores.layer if layerwise else None,
        ood_sets=tuple(scores.ood),
        at=at,
        results=results,
    )


def score_command(scores: ScoreSet, experiment: Experiment, at: str) -> str:
    """Command that judges images as this score set does, up to the images.

    Only what differs from the experiment's own parameters is named.
    """
    own = make_detector(scores.detector, **own_params(experiment, scores.detector))
    usual = own.get_params()
    given = {k: v for k, v in scores.params.items() if v != usual.get(k)}
    words = ["python", "-m", "ood_core", "score", experiment.name]
    words += ["--detector", scores.detector, "--at", at]
    if own.layerwise and scores.layer != (usual.get("layer") or PENULTIMATE):
        words += ["--layer", scores.layer]
    if given:
        words += ["--params", params_text(given)]
    return shlex.join(words)


def is_recipe(path: str | Path) -> bool:
    """Whether the path is a TOML file that declares itself a recipe."""
    file = Path(path)
    if file.suffix != ".toml" or not file.is_file():
        return False
    try:
        return "recipe" in tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False


def load_recipe(source: str | Path) -> Recipe:
    """Read a recipe from a path, or from its text.

    Raises
    ------
    ConfigError
        When it is not TOML, of another version, or has unknown, missing or ill-typed keys.
    """
    text, where = _text(source)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not a TOML file: {error}.") from None
    for key in values:
        if key not in _KEYS:
            raise ConfigError(f"{where}: unknown key {key!r}. {did_you_mean(key, _KEYS)}")
    if values.get("recipe") != VERSION:
        raise ConfigError(
            f"{where}: recipe = {values.get('recipe')!r} cannot be read; this version reads "
            f"recipe = {VERSION}."
        )
    for key in ("experiment", "detector"):
        if not isinstance(values.get(key), str):
            raise ConfigError(f"{where}: {key} must be text, got {values.get(key)!r}.")
    sets = values.get("ood_sets", [])
    if not isinstance(sets, list) or not all(isinstance(s, str) for s in sets):
        raise ConfigError(f"{where}: ood_sets must be a list of names, got {sets!r}.")
    return Recipe(
        experiment=values["experiment"],
        detector=values["detector"],
        params=_table(values, "params", where),
        layer=values.get("layer"),
        ood_sets=tuple(sets),
        at=str(values.get("at", "tpr=0.95")),
        results=_results(_table(values, "results", where), where),
    )


def _text(source: str | Path) -> tuple[str, str]:
    if isinstance(source, str) and "\n" in source:
        return source, "the recipe"
    try:
        return Path(source).read_text(encoding="utf-8"), str(source)
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{source} is not text in UTF-8.") from None


def _table(values: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    table = values.get(key, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: {key} must be a table, got {table!r}.")
    return table


def _results(table: Mapping[str, Any], where: str) -> dict[str, tuple[float, float]]:
    found = {}
    for name, row in table.items():
        try:
            found[name] = (float(row["auroc"]), float(row["fpr95"]))
        except (TypeError, KeyError, ValueError):
            raise ConfigError(
                f"{where}: results.{name} must hold auroc and fpr95, got {row!r}."
            ) from None
    return found

"""Finding detectors: the files of this package, then the entry points of installed plug-ins."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from ood_core.detectors.base import Detector, logger
from ood_core.detectors.declarations import DECLARED, FAMILIES
from ood_core.detectors.fusion import FUSIONS
from ood_core.detectors.fusion_grammar import fusion_class
from ood_core.detectors.pytorch_ood_adapter import PREFIX, adapt
from ood_core.errors import ConfigError, did_you_mean

__all__ = [
    "ENTRY_POINTS",
    "all_detectors",
    "broken_plugins",
    "by_canonical_name",
    "canonical_name",
    "detector_class",
    "exportable",
    "forget",
    "make_detector",
]

ENTRY_POINTS = "ood_core.detectors"

T = TypeVar("T")


def all_detectors() -> dict[str, type[Detector]]:
    """Every detector by name: built in, fusions and plug-ins, in the order pages list them.

    A plug-in that cannot be loaded is left out and told by `broken_plugins`.
    """
    found = {**_built_in(), **_plugins()[0]}
    found.update({name: fusion_class(name, found) for name in FUSIONS})
    rank = {family: i for i, family in enumerate(FAMILIES)}
    ordered = sorted(found.values(), key=lambda c: (rank.get(c.family, len(rank)), c.name))
    return {c.name: c for c in ordered}


def exportable() -> tuple[str, ...]:
    """Names of the detectors that can be exported: those that have a torch form."""
    return tuple(sorted(n for n, cls in all_detectors().items() if cls.has_torch_form()))


def broken_plugins() -> dict[str, str]:
    """Entry-point name -> one sentence on why that plug-in is left out."""
    return dict(_plugins()[1])


def detector_class(name: str) -> type[Detector]:
    """Class of the named detector, fusion ("nan+knn") or pytorch-ood detector ("pytorch_ood:RMD").

    Aliases are accepted, alone and in fusions.

    Raises
    ------
    ConfigError
        For an unknown name, with what is available.
    """
    known = _by_any_name(all_detectors().values())
    if name in known:
        return known[name]
    if name.startswith(PREFIX):
        return adapt(name.removeprefix(PREFIX))
    if "+" in name:
        return fusion_class(name, known)
    broken = broken_plugins()
    if name in broken:
        raise ConfigError(f"detector {name!r} is a plug-in that cannot be used: {broken[name]}")
    raise ConfigError(f"unknown detector {name!r}. {did_you_mean(name, known)}")


def canonical_name(name: str) -> str:
    """The one name that lists and files give the detector; what names none stays as it is.

    >>> canonical_name("knn+nan")
    'negative_aware_norm+knn'
    """
    try:
        return detector_class(name).name
    except ConfigError:  # whoever uses the name says what is wrong with it, and where it stands
        return name


def by_canonical_name(given: Mapping[str, T]) -> dict[str, T]:
    """What is given by detector, parameters for example, under the detectors' canonical names.

    Raises
    ------
    ConfigError
        When two of the names are the same detector's.
    """
    found: dict[str, T] = {}
    as_given: dict[str, str] = {}
    for name, value in given.items():
        canonical = canonical_name(name)
        if canonical in found:
            raise ConfigError(
                f"{as_given[canonical]!r} and {name!r} are both given, and are the same detector, "
                f"{canonical!r}: keep one of them."
            )
        found[canonical], as_given[canonical] = value, name
    return found


def make_detector(name: str, **params: Any) -> Detector:
    """Build a detector by name, not yet fitted.

    Raises
    ------
    ConfigError
        For an unknown name or parameter, or a value that is not allowed.

    >>> make_detector("line", p_a=10)
    Line(p_w=90.0, p_a=10, clip=1.0, contrib='signed')
    """
    cls = detector_class(name)
    cls.check_params(params)
    return cls(**params)


def forget() -> None:
    """Look for plug-ins again at the next question: after one was installed."""
    _plugins.cache_clear()


@cache
def _built_in() -> dict[str, type[Detector]]:
    package = importlib.import_module("ood_core.detectors")
    found: dict[str, type[Detector]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            if _is_detector(value) and value.__module__ == module.__name__:
                found[value.name] = value
    _by_any_name(found.values())
    return found


def _by_any_name(classes: Iterable[type[Detector]]) -> dict[str, type[Detector]]:
    """Name or alias -> class; ConfigError where two classes ask for the same."""
    found: dict[str, type[Detector]] = {}
    for cls in classes:
        # An alias belongs to the class that declares it, as the name does: a subclass is another.
        for name in (cls.name, *vars(cls).get("aliases", ())):
            if found.setdefault(name, cls) is not cls:
                raise ConfigError(
                    f"the name {name!r} of {cls.__name__} is taken by the detector "
                    f"{found[name].name!r}: give it another name or alias."
                )
    return found


def _is_detector(value: Any) -> bool:
    return (
        inspect.isclass(value)
        and issubclass(value, Detector)
        and not inspect.isabstract(value)
        and isinstance(getattr(value, "name", None), str)
    )


@cache
def _plugins() -> tuple[dict[str, type[Detector]], dict[str, str]]:
    found: dict[str, type[Detector]] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=ENTRY_POINTS):
        try:
            cls = _load(point)
            _by_any_name([*_built_in().values(), *found.values(), cls])
        except Exception as error:  # noqa: BLE001 - someone else's code may raise anything
            broken[point.name] = f"{point.value}: {type(error).__name__}: {error}"
            logger.warning("plug-in %s is left out: %s", point.name, broken[point.name])
        else:
            found[cls.name] = cls
    return found, broken


def _load(point: EntryPoint) -> type[Detector]:
    cls: type[Detector] = point.load()
    if not _is_detector(cls):
        raise ConfigError(
            f"{point.value} is not a detector: it must be a subclass of ood_core.Detector with a "
            "name and the methods _fit and _score."
        )
    lacking = [a for a in DECLARED if not isinstance(getattr(cls, a, None), str)]
    if lacking:
        raise ConfigError(f"{point.value} must declare {', '.join(lacking)}: a string each.")
    if not (isinstance(cls.aliases, tuple) and all(isinstance(a, str) for a in cls.aliases)):
        raise ConfigError(f"{point.value}: aliases must be a tuple of names, got {cls.aliases!r}.")
    return cls

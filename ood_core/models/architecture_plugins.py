"""Architectures that installed packages bring, by entry points of the group ENTRY_POINTS.

An entry point's name is the architecture's; its value is a subclass of `torch.nn.Module` or a
function that returns such a network, called with `num_classes` where it has that parameter. No
consent is asked: whoever installed the package let its code run, as that of every other package.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from ood_core.errors import ConfigError
from ood_core.experiments.network_formats import NETWORK_FORMATS
from ood_core.models.own_networks import Code, called, plugin_code

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ENTRY_POINTS", "forget_plugins", "is_plugin", "plugin_identity", "plugins"]

ENTRY_POINTS = "ood_core.architectures"

logger = logging.getLogger("ood_core.models")


def is_plugin(architecture: str) -> bool:
    """Whether an installed package brings an architecture of this name. Imports nothing of it."""
    return architecture in _points()


def plugin_identity(architecture: str) -> str:
    """What decides which network a plug-in makes: its files' content and its package's version.

    Imports nothing of it; "" where there is no such plug-in.
    """
    point = _points().get(architecture)
    return "" if point is None else f"{_code(point).target} {_code(point).digest}"


def plugins(
    built_in: Collection[str],
) -> tuple[dict[str, Callable[[int | None], nn.Module]], dict[str, str]]:
    """Name -> function of the number of classes, and name -> why a plug-in is left out.

    Parameters
    ----------
    built_in : names that are taken.
    """
    return _loaded(frozenset(built_in))


def forget_plugins() -> None:
    """Look for plug-ins again at the next question: after one was installed."""
    _points.cache_clear()
    _loaded.cache_clear()


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


@cache
def _loaded(
    built_in: frozenset[str],
) -> tuple[dict[str, Callable[[int | None], nn.Module]], dict[str, str]]:
    found: dict[str, Callable[[int | None], nn.Module]] = {}
    broken: dict[str, str] = {}
    for name, point in _points().items():
        try:
            found[name] = _builder(point, built_in)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as of every plug-in
            broken[name] = f"{point.value}: {type(error).__name__}: {error}"
            logger.warning("architecture plug-in %s is left out: %s", name, broken[name])
    return found, broken


def _builder(point: EntryPoint, built_in: frozenset[str]) -> Callable[[int | None], nn.Module]:
    from torch import nn

    if point.name in built_in or point.name in (*NETWORK_FORMATS, "features"):
        raise ConfigError(f"the name {point.name!r} is taken: give it another one.")
    if ":" in point.name or "/" in point.name:
        raise ConfigError(f"the name {point.name!r} must be without : and /.")
    make: Any = point.load()
    if not (inspect.isfunction(make) or (inspect.isclass(make) and issubclass(make, nn.Module))):
        raise ConfigError(
            f"{point.value} must be a subclass of torch.nn.Module, or a function that returns one."
        )

    def build(num_classes: int | None = None) -> nn.Module:
        return called(make, _code(point), num_classes, {})

    return build


def _code(point: EntryPoint) -> Code:
    dist = point.dist
    version = f"{dist.name} {dist.version}" if dist is not None else "module"
    return plugin_code(point.module, point.attr, version)

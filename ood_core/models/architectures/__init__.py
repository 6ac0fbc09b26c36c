"""Architectures found by discovery: one file here adds one, nothing is registered.

A file has `NAMES` (a tuple of architecture names) and `build(name, num_classes)`, which returns a
`torch.nn.Module` with untrained weights; `num_classes` is None where the experiment gives none.
A file for a whole collection has `PREFIX` ("torchvision:") in place of `NAMES`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
from typing import TYPE_CHECKING

from ood_core.errors import ModelError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

__all__ = ["architectures", "build", "collection"]


@cache
def _modules() -> tuple[ModuleType, ...]:
    found = (m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    return tuple(importlib.import_module(f"{__name__}.{name}") for name in sorted(found))


def architectures() -> dict[str, Callable[[int | None], nn.Module]]:
    """Built-in architectures: name -> function of the number of classes. Imports torch."""
    return {
        name: partial(module.build, name)
        for module in _modules()
        for name in getattr(module, "NAMES", ())
    }


def collection(architecture: str) -> ModuleType | None:
    """The collection file for "torchvision:NAME" or "timm:NAME"; None for a built-in name."""
    prefixes = {m.PREFIX: m for m in _modules() if hasattr(m, "PREFIX")}
    return next((m for p, m in prefixes.items() if architecture.startswith(p)), None)


def build(architecture: str, num_classes: int | None = None) -> nn.Module:
    """Network with untrained weights.

    Raises
    ------
    ModelError
        When there is no such architecture, with the names there are.
    """
    module = collection(architecture)
    if module is not None:
        network: nn.Module = module.build(architecture.removeprefix(module.PREFIX), num_classes)
        return network
    known = architectures()
    if architecture not in known:
        prefixes = " or ".join(f'"{m.PREFIX}NAME"' for m in _modules() if hasattr(m, "PREFIX"))
        raise ModelError(
            f"unknown architecture {architecture!r}. {did_you_mean(architecture, known)}"
            + (f" Or {prefixes}." if prefixes else "")
        )
    return known[architecture](num_classes)

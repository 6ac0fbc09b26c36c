"""Networks that come whole in a file or folder: one module here reads one format.

A module has

- `FORMAT`: its name, one of `NETWORK_FORMATS`;
- `load(spec)`: the `torch.nn.Module`, in eval mode; one that autograd does not see into
  `KnowsItself`;
- `files(path)`: every file that decides what the network computes, for its identity;
- `version()`: versions of what turns them into a network, the same purpose; imports nothing heavy;
- `NO_GRADIENTS`, only where nothing can be differentiated through its networks: why;
- `preprocessing(path)` and `class_names(path)`: what the file itself says, or None.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ood_core.errors import ModelError
from ood_core.experiments.network_formats import NETWORK_FORMATS

if TYPE_CHECKING:
    from torch import nn

    from ood_core.experiments.experiment import ClassifierSpec, Preprocessing

__all__ = [
    "network_class_names",
    "network_files",
    "network_no_gradients",
    "network_preprocessing",
    "network_version",
    "open_network",
]


@cache
def _formats() -> dict[str, ModuleType]:
    found = (m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    modules = (importlib.import_module(f"{__name__}.{name}") for name in sorted(found))
    return {module.FORMAT: module for module in modules if hasattr(module, "FORMAT")}


def _format(architecture: str) -> ModuleType:
    found = _formats().get(architecture)
    if found is None:
        raise ModelError(
            f"networks in the format {architecture!r} cannot be read yet. "
            f"Formats: {', '.join(sorted(_formats())) or 'none'}."
        )
    return found


def _path(spec: ClassifierSpec) -> Path:
    if spec.checkpoint is None:
        raise ModelError(f"architecture {spec.architecture!r} needs a checkpoint: the file itself.")
    return spec.checkpoint


def open_network(spec: ClassifierSpec) -> nn.Module:
    """The network of a file or folder that holds all of it.

    Raises
    ------
    ModelError
        When it cannot be read, holds what is not allowed, or its optional package is missing.
    """
    network: nn.Module = _format(spec.architecture).load(spec)
    return network


def network_files(spec: ClassifierSpec) -> tuple[Path, ...]:
    """Files whose bytes are the network's identity, in a fixed order."""
    found: tuple[Path, ...] = _format(spec.architecture).files(_path(spec))
    return found


def network_version(architecture: str) -> str:
    """What else decides how the file becomes a network: versions of the packages used."""
    return str(_format(architecture).version())


def network_no_gradients(architecture: str) -> str:
    """Why nothing can be differentiated through networks of this kind; "" where it can."""
    if architecture not in NETWORK_FORMATS:
        return ""
    return str(getattr(_format(architecture), "NO_GRADIENTS", ""))


def network_preprocessing(spec: ClassifierSpec) -> Preprocessing | None:
    """The transform that the file states, or None."""
    if spec.architecture not in NETWORK_FORMATS:
        return None
    found: Preprocessing | None = _format(spec.architecture).preprocessing(_path(spec))
    return found


def network_class_names(spec: ClassifierSpec) -> tuple[str, ...] | None:
    """Names of the classes that the file states, or None."""
    if spec.architecture not in NETWORK_FORMATS:
        return None
    found: tuple[str, ...] | None = _format(spec.architecture).class_names(_path(spec))
    return found

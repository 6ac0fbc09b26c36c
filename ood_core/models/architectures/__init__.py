"""Architectures found by discovery: one file here adds one, nothing is registered.

A file has `NAMES` (a tuple of architecture names) and `build(name, num_classes)`, which returns a
`torch.nn.Module` with untrained weights; `num_classes` is None where the experiment gives none,
and 0 where the head is to be left out, or will be taken off.
A file for a whole collection has `PREFIX` ("torchvision:") in place of `NAMES`, and functions
`names()`, `weight_names(name)`, `build(name, num_classes, weights)` and `published(name, weights)`.
Either may have `adapt(state)`, which brings the names in a checkpoint to those of the network.
Installed packages add architectures by entry points: `models/architecture_plugins.py`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
from typing import TYPE_CHECKING

from ood_core.errors import ModelError, did_you_mean
from ood_core.models.architecture_plugins import plugins
from ood_core.models.input_channels import with_channels

if TYPE_CHECKING:
    from torch import nn

    from ood_core.models.checkpoints import Candidate

__all__ = ["adapter", "architectures", "build", "collection"]


@cache
def _modules() -> tuple[ModuleType, ...]:
    found = (m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    return tuple(importlib.import_module(f"{__name__}.{name}") for name in sorted(found))


def architectures() -> dict[str, Callable[[int | None], nn.Module]]:
    """Architectures by name, built in and plug-ins: functions of the number of classes.

    A plug-in that cannot be loaded is left out, and the reason is logged. Imports torch.
    """
    found = _built_in()
    return found | plugins(found)[0]


def _built_in() -> dict[str, Callable[[int | None], nn.Module]]:
    return {
        name: partial(module.build, name)
        for module in _modules()
        for name in getattr(module, "NAMES", ())
    }


def collection(architecture: str) -> ModuleType | None:
    """The collection file for "torchvision:NAME" or "timm:NAME"; None for a built-in name."""
    prefixes = {m.PREFIX: m for m in _modules() if hasattr(m, "PREFIX")}
    return next((m for p, m in prefixes.items() if architecture.startswith(p)), None)


def build(
    architecture: str,
    num_classes: int | None = None,
    weights: str | None = None,
    channels: int | None = None,
) -> nn.Module:
    """Network with untrained weights.

    Parameters
    ----------
    architecture : a name in `architectures()`, or "torchvision:NAME", "timm:NAME".
    num_classes : number of classes; the architecture's own for None. For 0 the head is left out
        where the architecture can, and has a size of its own elsewhere.
    weights : name of the published weights that it will get, where its form depends on them.
    channels : of its images; the architecture's own for None. Published weights keep theirs.

    Raises
    ------
    ModelError
        When there is no such architecture, with the names there are.
    """
    module = collection(architecture)
    if module is not None:
        name = architecture.removeprefix(module.PREFIX)
        network: nn.Module = module.build(name, num_classes, weights)
        return network if channels is None or weights else with_channels(network, channels)
    known = architectures()
    broken = plugins(_built_in())[1]
    if architecture not in known and architecture in broken:
        raise ModelError(
            f"architecture {architecture!r} is a plug-in that cannot be used: "
            f"{broken[architecture]}"
        )
    if architecture not in known:
        prefixes = " or ".join(f'"{m.PREFIX}NAME"' for m in _modules() if hasattr(m, "PREFIX"))
        raise ModelError(
            f"unknown architecture {architecture!r}. {did_you_mean(architecture, known)} "
            f"Or {prefixes}."
        )
    network = known[architecture](num_classes)
    return network if channels is None else with_channels(network, channels)


def adapter(architecture: str) -> Callable[[Candidate], Candidate] | None:
    """The architecture's `adapt`, or None where it has none."""
    module = collection(architecture) or next(
        (m for m in _modules() if architecture in getattr(m, "NAMES", ())), None
    )
    return getattr(module, "adapt", None)

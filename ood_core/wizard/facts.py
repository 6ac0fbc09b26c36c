"""What a checkpoint file says of its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.experiments.network_formats import network_format
from ood_core.experiments.own_code import is_own_code
from ood_core.experiments.sources import resolve
from ood_core.models.nearest import (
    checkpoint_channels,
    checkpoint_classes,
    nearest_architectures,
)
from ood_core.models.renamed import Renamed, renamed_match, said_by_file
from ood_core.wizard.checkpoint_files import checkpoints_at

if TYPE_CHECKING:
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = ["CheckpointFacts", "checkpoint_facts", "one_checkpoint", "whole_network"]


@dataclass(frozen=True)
class CheckpointFacts:
    """What a checkpoint file says of its network.

    Parameters
    ----------
    architectures : known architectures, likeliest first, with the share of names that agree; the
        one format of a file that holds the whole network.
    classes : number of classes, where the architecture is known, 0 for an encoder; else None.
    channels : 1 or 3 where the images of the network are not what the architecture usually takes.
    renamed : the network that it fits by order and shape alone, where it fits none by name.
    """

    architectures: tuple[tuple[str, float], ...]
    classes: int | None
    channels: int | None = None
    renamed: Renamed | None = None

    @property
    def architecture(self) -> str:
        """The likeliest one that fits completely, or ""."""
        return next(iter(self.fitting), "")

    @property
    def fitting(self) -> tuple[str, ...]:
        """Those that fit completely: more than one where shapes cannot tell them apart."""
        return tuple(name for name, share in self.architectures if share == 1)


def checkpoint_facts(
    path: str | Path,
    architecture: str = "",
    part: str = "",
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> CheckpointFacts:
    """Architectures that a checkpoint fits, and its number of classes.

    Parameters
    ----------
    architecture : taken as given; for "" the known ones are compared.
    part : which set of weights in the file; "" for the one that is loaded by itself.
    progress, should_stop : of that comparison, which takes seconds the first time.

    Raises
    ------
    ModelError
        When the file cannot be read or is no checkpoint, or there is no such architecture or part.
    """
    found = one_checkpoint(str(path))
    whole = network_format(found)
    if whole is not None and architecture in ("", whole):
        return CheckpointFacts(((whole, 1.0),), None)
    nearest: tuple[tuple[str, float], ...] = ((architecture, 1.0),)
    if not architecture:
        near = nearest_architectures(found, progress=progress, should_stop=should_stop)
        nearest = tuple(near)
    facts = CheckpointFacts(nearest, None)
    if not facts.architecture:
        names = [*said_by_file(found), *(name for name, _ in nearest)]
        return CheckpointFacts(nearest, None, renamed=renamed_match(found, names, part or None))
    name = facts.architecture
    if is_own_code(name):
        return facts
    classes = checkpoint_classes(found, name, part or None)
    renamed = renamed_match(found, [name], part or None) if classes is None else None
    return CheckpointFacts(nearest, classes, checkpoint_channels(found, name), renamed)


def one_checkpoint(source: str) -> Path:
    """The file, or the likeliest one of a folder or pattern."""
    ranked = checkpoints_at(source)
    return ranked[0][0] if ranked else resolve(source, Path.cwd())[0] or Path(source)


def whole_network(source: str) -> tuple[Path, str] | None:
    """A file or folder that holds all of a network, and its format; None of anything else."""
    path = resolve(source, Path.cwd())[0] if source else None
    found = network_format(path) if path is not None else None
    return (path, found) if path is not None and found is not None else None

"""What a checkpoint file says of its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.experiments.own_code import is_own_code
from ood_core.experiments.sources import resolve
from ood_core.models.nearest import checkpoint_classes, nearest_architectures
from ood_core.wizard.checkpoint_files import checkpoints_at

if TYPE_CHECKING:
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = ["CheckpointFacts", "checkpoint_facts", "one_checkpoint"]


@dataclass(frozen=True)
class CheckpointFacts:
    """What a checkpoint file says of its network.

    Parameters
    ----------
    architectures : known architectures, likeliest first, with the share of names that agree.
    classes : number of classes, where the architecture is known; else None.
    """

    architectures: tuple[tuple[str, float], ...]
    classes: int | None

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
    nearest: tuple[tuple[str, float], ...] = ((architecture, 1.0),)
    if not architecture:
        near = nearest_architectures(found, progress=progress, should_stop=should_stop)
        nearest = tuple(near)
    facts = CheckpointFacts(nearest, None)
    if not facts.architecture or is_own_code(facts.architecture):
        return facts
    return CheckpointFacts(nearest, checkpoint_classes(found, facts.architecture, part or None))


def one_checkpoint(source: str) -> Path:
    """The file, or the likeliest one of a folder or pattern."""
    ranked = checkpoints_at(source)
    return ranked[0][0] if ranked else resolve(source, Path.cwd())[0] or Path(source)

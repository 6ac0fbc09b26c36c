"""Which architecture a checkpoint belongs to."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.errors import ModelError, StoppedError
from ood_core.models.architectures import architectures, collection
from ood_core.models.beside_encoder import projected
from ood_core.models.checkpoints import Candidate, candidates, read_checkpoint
from ood_core.models.input_channels import first_channels
from ood_core.models.known_matches import keep_match, kept_match
from ood_core.models.known_shapes import (
    NOT_BUILT,
    adapted,
    classes_of,
    head_names,
    headless_share,
    known_shapes,
)
from ood_core.models.known_shapes import share_of as _share
from ood_core.models.mismatch import Shapes, shapes_of
from ood_core.models.named_architectures import named_in_path, names_written
from ood_core.models.parts import Part, named, no_weights, parts, tensor_paths
from ood_core.models.published_weights import package_version
from ood_core.models.readings import head_beside
from ood_core.models.search_order import likely_names, words_of
from ood_core.runtime.progress import Progress

if TYPE_CHECKING:
    from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = [
    "SECONDS",
    "checkpoint_channels",
    "checkpoint_classes",
    "nearest_architectures",
    "nearest_to",
    "timm_installed",
]

SECONDS = 30.0
"""Time after which no further architecture is compared."""

_AROUND = {
    "module", "model", "net", "network", "backbone", "encoder", "encoder_q", "encoder_k", "trunk",
    "_orig_mod", "online_encoder", "online_network", "target_encoder", "target_network", "student",
    "teacher", "momentum_encoder", "momentum_backbone", "momentum_projector", "projector",
    "projection_head", "predictor", "online_predictor", "prototypes", "queue", "queue_ptr",
}  # fmt: skip
"""Words around an encoder, which say nothing of its architecture."""

LEAST = 0.1
"""Share of names that agree, below which an architecture is not near at all."""


def nearest_architectures(
    path: Path,
    limit: int = 3,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> list[tuple[str, float]]:
    """Architectures that a checkpoint file agrees with best, and the share of names that agree.

    Those that the file names, built-in ones, torchvision's and timm's. The number of classes is
    taken from the file, so a network of another class count still counts as fitting. None whose
    share is below `LEAST`. What was found is kept for the next time.

    Raises
    ------
    ModelError
        When the file cannot be read or holds no weights.
    StoppedError
        When `should_stop` says so.
    """
    content = read_checkpoint(path)
    states = [state for _, state in candidates(content)]
    if not states:
        raise ModelError(no_weights(path.name, content))
    named = names_written(path, content)
    return nearest_to(states, path, named, progress, should_stop)[:limit]


def timm_installed() -> bool:
    """Whether timm's architectures can be compared."""
    return package_version("timm") != "none"


def checkpoint_classes(path: Path, architecture: str, part: str | None = None) -> int | None:
    """Number of classes in a checkpoint file of a network; None where it cannot be told.

    It is that of the weights that would be loaded: those named by `part`, else averaged ones; 0
    for an encoder without a classifier.

    Raises
    ------
    ModelError
        When the file cannot be read, or there is no such architecture or part.
    """
    content = read_checkpoint(path)
    found = parts(content)
    paths = tensor_paths(content)
    told = []
    for one in found if part is None else named(found, part):
        shapes = adapted(architecture, one.state)
        classes = classes_of(architecture, shapes)
        if projected(one.name, paths) or classes is None:
            bare = headless_share(architecture, shapes) == 1
            classes = _classes_beside(architecture, one, found) if bare else None
        if classes is not None:
            told.append((_share(architecture, shapes) == 1, one.averaged, classes))
    if not any(fits for fits, _, _ in told):
        return told[0][2] if told else None
    best = max(t[:2] for t in told)
    counts = {classes for *kind, classes in told if tuple(kind) == best}
    return counts.pop() if len(counts) == 1 else None


def _classes_beside(architecture: str, part: Part, found: Sequence[Part]) -> int:
    """Classes of the head that lies beside an encoder; 0 where there is none."""
    widths = {s[1:] for k, s in known_shapes(architecture).items() if k in head_names(architecture)}
    heads = [head_beside(part, found, width) for width in widths if width]
    weights = [v for head in heads if head for v in head.values() if v.ndim > 1]
    return int(weights[0].shape[0]) if len(weights) == 1 else 0


def checkpoint_channels(path: Path, architecture: str) -> int | None:
    """Channels of the images of a checkpoint, where the architecture's own takes another number.

    Raises
    ------
    ModelError
        When the file cannot be read, or there is no such architecture.
    """
    known = known_shapes(architecture)
    found = (adapted(architecture, one.state) for one in parts(read_checkpoint(path)))
    told = {first_channels(shapes, known) for shapes in found} - {None}
    return told.pop() if len(told) == 1 else None


def nearest_to(
    states: Sequence[Candidate],
    path: Path | None = None,
    named: Sequence[str] = (),
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> list[tuple[str, float]]:
    """Architectures by the share of names that agree with any of the state dicts, best first.

    Stops at the first that fits completely, and at `SECONDS`. A network that timm has in two
    forms of the same shapes is there in both.

    Parameters
    ----------
    states : what the file holds, read in several ways.
    path : of the file, whose name may be that of a network.
    named : names of networks that the file states.
    """
    shapes = [shapes_of(state) for state in states]
    kept = kept_match(shapes, path, named, SECONDS)
    if kept is not None and all(_still(name, share, states) for name, share in kept):
        return kept
    scored: dict[str, float] = {}
    began, stopped_after = time.monotonic(), None
    for name in _in_order(shapes, path, named):
        spent = time.monotonic() - began
        if spent > SECONDS:
            stopped_after = SECONDS
            break
        _report(name, spent, progress, should_stop)
        scored[name] = _best_share(name, states)
        if scored[name] == 1:
            found = [(n, 1.0) for n in _forms(name, states, shapes)]
            keep_match(shapes, path, named, found)
            return found
    found = _ranked(scored)
    keep_match(shapes, path, named, found, stopped_after)
    return found


def _still(name: str, share: float, states: Sequence[Candidate]) -> bool:
    """Whether what was kept holds: the file of a built-in architecture may have changed."""
    return ":" in name or _best_share(name, states) == share


def _ranked(scored: dict[str, float]) -> list[tuple[str, float]]:
    near = [(name, share) for name, share in scored.items() if share >= LEAST]
    return sorted(near, key=lambda pair: -pair[1])


def _report(
    name: str, spent: float, progress: ProgressCallback | None, should_stop: StopCheck | None
) -> None:
    if should_stop is not None and should_stop():
        raise StoppedError(f"stopped before {name} was compared.")
    if progress is not None:
        progress(Progress(f"Comparing with {name}; seconds", int(spent), int(SECONDS)))


def _in_order(shapes: Sequence[Shapes], path: Path | None, named: Sequence[str]) -> Iterator[str]:
    """Architectures to compare with: what the file says with its collection, then the likely."""
    whole = [name for name in named if ":" in name and _exists(name)]
    yield from whole

    def says(names: Sequence[str]) -> list[str]:
        short = {name.rpartition(":")[2]: name for name in names}
        said = [name for name in named if name in short]
        said += named_in_path(path, list(short)) if path is not None else []
        return [short[name] for name in dict.fromkeys(said)]

    words = words_of(name for state in shapes for name in state) - _AROUND
    yield from (n for n in likely_names(_names(), words, says) if n not in whole)


def _exists(name: str) -> bool:
    zoo = collection(name)
    try:
        return zoo is not None and name.removeprefix(zoo.PREFIX) in zoo.names()
    except ModelError:
        return False


def _forms(name: str, states: Sequence[Candidate], shapes: Sequence[Shapes]) -> list[str]:
    """An architecture that fits, and its other form where timm has two of the same shapes.

    `tf_…` pads as TensorFlow does, for weights that were published for it; its twin does not.
    Shapes cannot tell them apart. With ImageNet's classes it is probably a published one.
    """
    prefix, _, short = name.rpartition(":")
    other = f"timm:{short.removeprefix('tf_') if short.startswith('tf_') else f'tf_{short}'}"
    if prefix != "timm" or not _exists(other) or _best_share(other, states) < 1:
        return [name]
    classes = {classes_of(name, state) for state in shapes}
    first, second = sorted((name, other), key=lambda n: "timm:tf_" not in n)
    return [first, second] if classes & {1000, 1001, 21841, 21843} else [second, first]


def _best_share(name: str, states: Sequence[Candidate]) -> float:
    """The share with the state dict that agrees best; 0 for a network that cannot be built so."""
    try:
        return max((_share(name, adapted(name, state)) for state in states), default=0.0)
    except NOT_BUILT:
        return 0.0


def _names() -> Iterator[str]:
    """Architectures to compare with, built-in ones first: the others are slow to import.

    torchvision's RegNets compute their widths with tensors, so they cannot be built without
    memory, and are left out.
    """
    yield from architectures()
    for prefix in ("torchvision:", "timm:"):
        zoo = collection(prefix)
        try:
            names = zoo.names() if zoo is not None else ()
        except ModelError:
            continue  # it is not installed
        left_out = "regnet" if prefix == "torchvision:" else "\0"
        yield from (f"{prefix}{n}" for n in names if not n.startswith(left_out))

"""Names and shapes of known architectures, and how many of a checkpoint's agree with them."""

from __future__ import annotations

from functools import cache

from ood_core.errors import ModelError
from ood_core.models.architectures import adapter, build
from ood_core.models.beside_encoder import encoder_only
from ood_core.models.checkpoints import Candidate
from ood_core.models.input_channels import for_channels
from ood_core.models.mismatch import Shapes, compare, head_renamed, shapes_of
from ood_core.models.network_shapes import shapes_built_by
from ood_core.models.normalisation import without_constants

__all__ = [
    "NOT_BUILT",
    "adapted",
    "classes_of",
    "head_names",
    "head_places",
    "headless_share",
    "known_shapes",
    "share_of",
]

NOT_BUILT = (ModelError, RuntimeError, TypeError, ValueError)
"""What is raised by architectures that cannot be built for a number of classes or channels."""

_CLASSES = 1237
"""A number of classes that is no width of any layer, so that it shows which layers follow it."""


def share_of(architecture: str, found: Shapes) -> float:
    """Names that agree, the network having as many classes and channels as the file, or no head."""
    shapes = for_channels(found, known_shapes(architecture))
    share = compare(found, shapes).share
    if share < 0.5 and not headless_share(architecture, found):
        return share
    classes, heads = classes_of(architecture, found), head_names(architecture)
    grown = {k: (classes or s[0], *s[1:]) if k in heads else s for k, s in shapes.items()}
    return max(compare(found, grown).share, headless_share(architecture, found))


def headless_share(architecture: str, found: Shapes) -> float:
    """1 where all of the network but its head is there, and else nothing but heads; otherwise 0."""
    heads = head_names(architecture)
    shapes = for_channels(found, known_shapes(architecture))
    encoder = {k: s for k, s in shapes.items() if k not in heads}
    if not heads or not any(len(s) > 1 for s in encoder.values()):
        return 0.0
    return float(encoder_only(found, encoder, head_places(architecture)) is not None)


def adapted(architecture: str, state: Candidate) -> Shapes:
    """Shapes in a state dict under the names that the network has for them."""
    adapt = adapter(architecture)
    known = known_shapes(architecture)
    plain = without_constants(adapt(state) if adapt else state, known)
    return shapes_of(head_renamed(plain, known))


def classes_of(architecture: str, found: Shapes) -> int | None:
    """Number of classes of a head in a checkpoint; None where its names give none."""
    counts = {found[name][0] for name in head_names(architecture) if name in found}
    return counts.pop() if len(counts) == 1 else None


def head_places(architecture: str) -> tuple[str, ...]:
    """Paths of the modules whose width is the number of classes; none where that is not known."""
    try:
        return tuple(sorted({name.rpartition(".")[0] for name in head_names(architecture)}))
    except NOT_BUILT:
        return ()


@cache
def head_names(architecture: str) -> frozenset[str]:
    """Parameters whose shape follows the number of classes: a file's order tells nothing."""
    shapes = known_shapes(architecture)
    return frozenset(name for name, shape in shapes.items() if shape[:1] == (_CLASSES,))


@cache
def known_shapes(architecture: str) -> Shapes:
    """Names and shapes of an architecture with `_CLASSES` classes."""
    return shapes_built_by(lambda: build(architecture, _CLASSES))

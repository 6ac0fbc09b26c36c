"""Why a checkpoint does not fit a network, and what to do, in words."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ood_core.errors import ModelError
from ood_core.experiments.own_code import is_own_code
from ood_core.models.beside_encoder import encoder_only, listed, projected
from ood_core.models.input_channels import channels_remedy
from ood_core.models.mismatch import Mismatch, Shapes, shapes_of
from ood_core.models.nearest import nearest_architectures, nearest_to
from ood_core.models.parts import tensor_paths
from ood_core.models.readings import Reading
from ood_core.models.tensor_values import hints

__all__ = ["no_classifier", "refusal"]

_WITHOUT = (
    "Set num_classes = 0: then the network has no head, and what the encoder gives are features."
)


def refusal(
    path: Path,
    architecture: str,
    tried: list[Reading],
    part: str | None,
    content: Any,
    wanted: Shapes,
) -> str:
    """What is missing, unexpected or of another shape, and what would fit.

    Parameters
    ----------
    tried : the parts of the file that were asked for, none of which fits.
    part : the one that was named, if any.
    content : what the file holds.
    wanted : names and shapes of the network.
    """
    best = max(reversed(tried), key=lambda t: (t.mismatch.share, len(t.state)))
    said = "; ".join(best.mismatch.lines()) + "."
    remedy = channels_remedy(shapes_of(best.state), wanted) or _no_head(best, content, wanted)
    if not remedy and is_own_code(architecture):  # its names are nobody else's
        remedy = _own_remedy(best.mismatch, architecture)
    elif not remedy:
        # All of the file is compared as the wizard does, which is remembered.
        near = nearest_architectures(path) if part is None else nearest_to([t.state for t in tried])
        remedy = _other(best.mismatch, architecture, near)
    kind = hints(best.state) + _without_statistics(best.mismatch) + _folded(best.mismatch)
    if re.search(r"-\d+-of-\d+\.", path.name):
        kind += " The file is one of several shards: name their index, a file *.index.json."
    return f"{path.name} does not fit {architecture!r}, nothing was loaded: {said} {remedy}{kind}"


def no_classifier(
    taken: Reading, path: Path, content: Any, wanted: Shapes, heads: Collection[str] | None
) -> None:
    """Refuse the last layer of contrastive training as a classifier, though it has its shape.

    Raises
    ------
    ModelError
        When the file holds a queue of features as wide as that layer's output.
    """
    place = _head(wanted)
    if heads is not None or not place:
        return
    width = wanted[f"{place}.weight"][0]
    paths = tensor_paths(content)
    queues = [t for p, t in paths.items() if p.rpartition(".")[2] == "queue" and t.ndim == 2]
    if any(width in tuple(queue.shape) for queue in queues):
        why = projected(taken.part.name, paths)
        raise ModelError(
            f"{path.name}: {place} is a projection head, no classifier of {width} classes: {why}. "
            f"Nothing was loaded. {_WITHOUT}"
        )


def _head(wanted: Shapes) -> str:
    """The last linear layer among the names; "" where there is none."""
    linear = [k for k, shape in wanted.items() if len(shape) == 2 and k.endswith(".weight")]
    return linear[-1].removesuffix(".weight") if linear else ""


def _no_head(best: Reading, content: Any, wanted: Shapes) -> str:
    """That the file holds the encoder and no classifier, where that is so."""
    place = _head(wanted)
    encoder = {k: shape for k, shape in wanted.items() if not k.startswith(f"{place}.")}
    left = encoder_only(shapes_of(best.state), encoder, (place,)) if place else None
    if left is None:
        return ""
    own = [name for name in left if name.startswith(f"{place}.")]
    why = projected(best.part.name, tensor_paths(content))
    classifier = f"{place}.weight" in own
    if classifier and not why:
        return ""
    if classifier:
        return f"Its {place} is a projection head, no classifier: {why}. {_WITHOUT}"
    if own:
        shown = ", ".join(dict.fromkeys(name.rpartition(".")[0] for name in own))
        return (
            f"{shown} in place of the head {place} are a projection head, which is no classifier. "
            f"{_WITHOUT}"
        )
    beside = f" beside {listed(left)}" if left else ""
    return f"It holds the whole encoder{beside}, and no classifier. {_WITHOUT}"


def _classes(mismatch: Mismatch) -> int | None:
    """Number of classes of the checkpoint, where nothing but that differs."""
    sizes = [(a, b) for a, b in mismatch.shapes.values() if a and b and a[0]]
    heads = {a[0] for a, b in sizes if a[0] != b[0] and a[1:] == b[1:]}
    others = mismatch.missing or mismatch.unexpected or any(a[1:] != b[1:] for a, b in sizes)
    return heads.pop() if len(heads) == 1 and not others else None


def _own_remedy(mismatch: Mismatch, label: str) -> str:
    """What to do where the network is somebody's own code."""
    name = label.rpartition(":")[2]
    if (classes := _classes(mismatch)) is not None:
        return (
            f"The checkpoint has {classes} classes, or so many channels there: set num_classes, or "
            f"the argument of {name} that says so."
        )
    return (
        f"Give {name} the arguments that the weights were trained with, or name the file with the "
        f"state dict of this {name}."
    )


def _other(mismatch: Mismatch, architecture: str, near: list[tuple[str, float]]) -> str:
    if (classes := _classes(mismatch)) is not None:
        return f"The checkpoint has {classes} classes: set num_classes to that."
    name, share = next(iter(near), (architecture, 0.0))
    if name == architecture or share <= max(mismatch.share, 0.5):
        return "No other known architecture fits better."
    degree = "fits completely" if share == 1 else f"is nearest, {share:.0%} of its names fit"
    return f"Architecture {name!r} {degree}."


def _without_statistics(mismatch: Mismatch) -> str:
    """What a file is that has parameters and no buffers, as averages by hand often are."""
    ends = {name.rpartition(".")[2] for name in mismatch.missing}
    if mismatch.unexpected or not ends or not ends <= {"running_mean", "running_var"}:
        return ""
    return (
        " Only batch norm's running statistics are missing: parameters alone were saved. Save "
        "model.state_dict(), which has its buffers too."
    )


def _folded(mismatch: Mismatch) -> str:
    """That batch norm was multiplied into the convolutions before it, where that is so."""
    ends = [name.rpartition(".")[2] for name in mismatch.missing]
    norms = {name.rpartition(".")[0] for name in mismatch.missing if name.endswith("running_var")}
    only_norms = all(name.rpartition(".")[0] in norms for name in mismatch.missing)
    biases = mismatch.unexpected and all(n.endswith(".bias") for n in mismatch.unexpected)
    if not (ends and only_norms and biases):
        return ""
    return (
        " Batch norm was folded into the convolutions, as for deployment: they have biases, and "
        "its layers are gone. Save the network before it is folded, or export it whole "
        "(torch.export), which needs no architecture."
    )

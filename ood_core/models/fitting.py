"""Loading all of a checkpoint into a network or nothing, and saying why it does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError
from ood_core.models.checkpoints import logger, read_checkpoint
from ood_core.models.loaded_weights import AmbiguousPartsError, LoadedWeights
from ood_core.models.mismatch import Mismatch, Shapes, compare, head_renamed, shapes_of
from ood_core.models.nearest import nearest_architectures, nearest_to
from ood_core.models.normalisation import stored_normalisations, without_constants
from ood_core.models.parts import (
    Candidate,
    Part,
    named,
    no_weights,
    parts,
    same_values,
    tensor_paths,
)
from ood_core.models.tensor_values import hints, readable

if TYPE_CHECKING:
    from torch import nn

__all__ = ["AmbiguousPartsError", "load_weights", "randomise"]

NEAR = 0.5
"""Share of names from which a part that does not fit is worth naming."""


def randomise(builder: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a network whose initial weights depend on `seed` only; the global generator is kept.

    Vision transformers start with a head of zeros, which tells nothing apart: it gets small
    random weights.
    """
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = builder()
        for module in network.modules():
            if isinstance(module, nn.Linear) and not module.weight.any():
                nn.init.trunc_normal_(module.weight, std=0.02)
        return network


def load_weights(
    network: nn.Module,
    path: Path,
    architecture: str,
    adapt: Callable[[Candidate], Candidate] | None = None,
    part: str | None = None,
) -> LoadedWeights:
    """Load a checkpoint file into the network, completely or not at all.

    Of several sets of weights in the file that fit, averaged ones are loaded: where a file has
    them, they are what its accuracy was measured with. A checkpoint that lacks nothing but the
    last linear layer's bias was trained without one: the network's is removed.

    Parameters
    ----------
    network : gets the weights; on an error it is as before.
    path : .safetensors (preferred) or anything that `torch.load(weights_only=True)` reads.
    architecture : its name, for messages.
    adapt : changes names of a candidate state dict as this architecture needs.
    part : which set of weights in the file, as `LoadedWeights.part` names it; None: by the rule.

    Returns
    -------
    LoadedWeights
        What was loaded and what was not.

    Raises
    ------
    ModelError
        With the missing and unexpected names, conflicting shapes, and the architecture that fits
        better where there is one; with the name of a tensor that holds no weights; with
        the parts there are, where the named one is not there.
    AmbiguousPartsError
        When several parts fit, differ, and are not told apart by one of them being averaged.
    """
    content = read_checkpoint(path)
    wanted = shapes_of(network.state_dict())
    found = parts(content)
    tried = [_tried(p, network, wanted, adapt) for p in found]
    if not tried:
        raise ModelError(no_weights(path.name, content))
    asked = tried if part is None else [t for t in tried if t.part in named(found, part)]
    fitting = [t for t in asked if t.fits]
    if not fitting:
        raise ModelError(_refusal(path, architecture, asked, part))
    taken = _chosen(fitting, path, architecture, part)
    state, notes = _read(taken, network, path, fitting)
    if taken.bare is not None:
        taken.bare.register_parameter("bias", None)
    network.load_state_dict(state, strict=False)
    report = replace(_report(path, content, taken, tried, part), notes=tuple(notes))
    logger.info("loaded %s: %s", architecture, report.text)
    return report


@dataclass(frozen=True, eq=False)
class _Tried:
    """A part of the file held against the network; `bare` is the head that would lose its bias."""

    part: Part
    state: Candidate
    mismatch: Mismatch
    bare: nn.Linear | None

    @property
    def fits(self) -> bool:
        return self.mismatch.fits or self.bare is not None


def _tried(
    part: Part,
    network: nn.Module,
    wanted: Shapes,
    adapt: Callable[[Candidate], Candidate] | None,
) -> _Tried:
    adapted = adapt(part.state) if adapt else part.state
    state = head_renamed(without_constants(adapted, wanted), wanted)
    mismatch = compare(shapes_of(state), wanted)
    return _Tried(part, state, mismatch, _head_without_bias(network, mismatch))


def _chosen(fitting: list[_Tried], path: Path, architecture: str, part: str | None) -> _Tried:
    """The one set of weights that the rule gives; of equal ones the first."""
    distinct: list[_Tried] = []
    for one in fitting:
        if not any(same_values(one.state, other.state) for other in distinct):
            distinct.append(one)
    exact = [one for one in distinct if one.part.name == part]
    averaged = [one for one in distinct if one.part.averaged]
    begun = [one for one in distinct if not one.part.never_averaged]
    for narrowed in (exact, averaged, begun, distinct):
        if len(narrowed) == 1:
            return narrowed[0]
    raise AmbiguousPartsError(path.name, architecture, [one.part.name for one in distinct])


def _read(
    taken: _Tried, network: nn.Module, path: Path, fitting: list[_Tried]
) -> tuple[Candidate, list[str]]:
    """The taken weights as the network can copy them; an error names what else would fit."""
    try:
        return readable(taken.state, network.state_dict())
    except ModelError as error:
        where = "" if taken.part.name == "." else f" of part {taken.part.name!r}"
        rest = ", ".join(repr(t.part.name) for t in fitting if t is not taken)
        also = f" Also in the file: {rest}; part names it." if rest else ""
        raise ModelError(f"{path.name}: {error} Nothing was loaded{where}.{also}") from error


def _report(
    path: Path, content: Any, taken: _Tried, tried: list[_Tried], asked: str | None
) -> LoadedWeights:
    used = {id(tensor) for tensor in taken.state.values()}
    others = []
    for one in tried:
        own = {id(tensor) for tensor in one.state.values()}
        if one is taken or own & used or not (one.fits or one.mismatch.share >= NEAR):
            continue
        others.append((one.part.name, _relation(one, taken)))
        used |= own
    constants = stored_normalisations(content, used)
    rest = tensor_paths(content)
    for name in (name for pair in constants for name in pair.names):
        rest.pop(name, None)
    reason = f"part = {asked!r} asks for it" if asked is not None else ""
    if asked is None and taken.part.averaged and others:
        reason = "averaged weights win"
    return LoadedWeights(
        file=path.name,
        part=taken.part.name,
        tensors=len(taken.state),
        reason=reason,
        others=tuple(others),
        left_out=tuple(name for name, tensor in rest.items() if id(tensor) not in used),
        normalisations=constants,
    )


def _relation(one: _Tried, taken: _Tried) -> str:
    """What another part of the file is beside the one that was taken."""
    if not one.fits:
        return f"does not fit: {'; '.join(one.mismatch.lines())}"
    if same_values(one.state, taken.state):
        return "the same"
    if one.part.never_averaged:
        return "differs; an average that was not updated once (n_averaged = 0)"
    return "averaged, differs" if one.part.averaged else "differs"


def _refusal(path: Path, architecture: str, tried: list[_Tried], part: str | None) -> str:
    best = max(reversed(tried), key=lambda t: (t.mismatch.share, len(t.state)))
    # All of the file is compared as the wizard does, which is remembered.
    near = nearest_architectures(path) if part is None else nearest_to([t.state for t in tried])
    said = _explained(best.mismatch, architecture, near)
    kind = hints(best.state) + _without_statistics(best.mismatch)
    if re.search(r"-\d+-of-\d+\.", path.name):
        kind += " The file is one of several shards: name their index, a file *.index.json."
    return f"{path.name} does not fit {architecture!r}, nothing was loaded: {said}{kind}"


def _head_without_bias(network: nn.Module, mismatch: Mismatch) -> nn.Linear | None:
    """The network's last linear layer, where all that the checkpoint lacks is its bias.

    Such a head was trained without one: loading it so is complete.
    """
    from torch import nn

    linear = [(f"{k}.bias", m) for k, m in network.named_modules() if isinstance(m, nn.Linear)]
    if not linear or mismatch.unexpected or mismatch.shapes:
        return None
    name, head = linear[-1]
    return head if mismatch.missing == (name,) else None


def _without_statistics(mismatch: Mismatch) -> str:
    """What a file is that has parameters and no buffers, as averages by hand often are."""
    ends = {name.rpartition(".")[2] for name in mismatch.missing}
    if mismatch.unexpected or not ends or not ends <= {"running_mean", "running_var"}:
        return ""
    return (
        " Only batch norm's running statistics are missing: parameters alone were saved. Save "
        "model.state_dict(), which has its buffers too."
    )


def _explained(mismatch: Mismatch, architecture: str, near: list[tuple[str, float]]) -> str:
    said = "; ".join(mismatch.lines()) + "."
    sizes = [(a, b) for a, b in mismatch.shapes.values() if a and b and a[0]]
    heads = {a[0] for a, b in sizes if a[0] != b[0] and a[1:] == b[1:]}
    if not (mismatch.missing or mismatch.unexpected) and len(heads) == 1:
        return f"{said} The checkpoint has {heads.pop()} classes: set num_classes to that."
    name, share = next(iter(near), (architecture, 0.0))
    if name == architecture or share <= max(mismatch.share, 0.5):
        return f"{said} No other known architecture fits better."
    degree = "fits completely" if share == 1 else f"is nearest, {share:.0%} of its names fit"
    return f"{said} Architecture {name!r} {degree}."

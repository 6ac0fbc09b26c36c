"""Loading all of a checkpoint into a network or nothing, and saying why it does not fit."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError
from ood_core.models.beside_encoder import is_momentum_copy, listed
from ood_core.models.checkpoints import logger, read_checkpoint
from ood_core.models.loaded_weights import AmbiguousPartsError, LoadedWeights
from ood_core.models.mismatch import Shapes, shapes_of
from ood_core.models.normalisation import stored_normalisations
from ood_core.models.parts import (
    Candidate,
    named,
    no_weights,
    parts,
    same_values,
    tensor_paths,
)
from ood_core.models.readings import (
    Adapt,
    Reading,
    in_order_reading,
    plain_reading,
    wider_reading,
)
from ood_core.models.refusals import no_classifier, refusal
from ood_core.models.tensor_values import readable

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
    adapt: Adapt = None,
    part: str | None = None,
    heads: Collection[str] | None = None,
    keys: str | None = None,
) -> LoadedWeights:
    """Load a checkpoint file into the network, completely or not at all.

    Of several sets of weights in the file that fit, averaged ones are loaded: where a file has
    them, they are what its accuracy was measured with. A checkpoint that lacks nothing but the
    last linear layer's bias was trained without one: the network's is removed. Where nothing fits
    as it is, heads that only training needs are left out, and a head beside an encoder is joined.

    Parameters
    ----------
    network : gets the weights; on an error it is as before.
    path : .safetensors (preferred) or anything that `torch.load(weights_only=True)` reads.
    architecture : its name, for messages.
    adapt : changes names of a candidate state dict as this architecture needs.
    part : which set of weights in the file, as `LoadedWeights.part` names it; None: by the rule.
    heads : places of the head that the network was built without; None where it has one.
    keys : `IN_ORDER` to go by order and shapes instead of names.

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
    tried = [plain_reading(p, network, wanted, adapt) for p in found]
    if not tried:
        raise ModelError(no_weights(path.name, content))
    chosen = found if part is None else named(found, part)
    asked = [t for t in tried if t.part in chosen]
    fitting = [t for t in asked if t.fits]
    if keys is not None:
        fitting = _in_order(asked, network, wanted, heads is not None, path)
    elif not fitting:
        wider = [wider_reading(t, network, wanted, heads, found) for t in asked]
        fitting = [t for t in wider if t.fits]
    if fitting:
        better = {id(t.part): t for t in fitting}
        tried = [better.get(id(t.part), t) for t in tried]
    if not fitting:
        raise ModelError(refusal(path, architecture, asked, part, content, wanted))
    no_classifier(fitting[0], path, content, wanted, heads)
    taken = _chosen(fitting, path, architecture, part, heads is not None)
    state, notes = _read(taken, network, path, fitting)
    if taken.bare is not None:
        taken.bare.register_parameter("bias", None)
    network.load_state_dict(state, strict=False)
    report = replace(_report(path, content, taken, tried, part), notes=tuple(notes))
    logger.info("loaded %s: %s", architecture, report.text)
    return report


def _in_order(
    asked: list[Reading], network: nn.Module, wanted: Shapes, headless: bool, path: Path
) -> list[Reading]:
    """The parts whose order and shapes give each tensor its place."""
    found, first = [], ""
    for plain in asked:
        try:
            found.append(in_order_reading(plain, network, wanted, headless))
        except ModelError as error:
            first = first or str(error)
    if not found:
        raise ModelError(
            f'{path.name} cannot be loaded with keys = "in order", nothing was loaded: {first}'
        )
    whole = [one for one in found if not one.part.prefix]
    return [one for one in found if one in whole or not _inside(one, whole)]


def _inside(one: Reading, whole: list[Reading]) -> bool:
    """Whether a part is one of these again, with a prefix taken off."""
    held = {id(tensor) for tensor in one.state.values()}
    return any(held == {id(tensor) for tensor in other.state.values()} for other in whole)


def _chosen(
    fitting: list[Reading], path: Path, architecture: str, part: str | None, headless: bool
) -> Reading:
    """The one set of weights that the rule gives; of equal ones the first.

    Of two encoders without a head the one that was trained goes before its momentum copy: that
    one is what those methods are evaluated with.
    """
    distinct: list[Reading] = []
    for one in fitting:
        if not any(same_values(one.state, other.state) for other in distinct):
            distinct.append(one)
    exact = [one for one in distinct if one.part.name == part]
    averaged = [one for one in distinct if one.part.averaged]
    begun = [one for one in distinct if not one.part.never_averaged]
    online = [one for one in begun if headless and not is_momentum_copy(one.part.name)]
    for narrowed in (exact, averaged, begun, distinct, online):
        if len(narrowed) == 1:
            return narrowed[0]
    raise AmbiguousPartsError(path.name, architecture, [one.part.name for one in distinct])


def _read(
    taken: Reading, network: nn.Module, path: Path, fitting: list[Reading]
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
    path: Path, content: Any, taken: Reading, tried: list[Reading], asked: str | None
) -> LoadedWeights:
    used = {id(tensor) for tensor in taken.state.values()}
    others = []
    for one in tried:
        own = {id(tensor) for tensor in one.state.values()}
        if one.part is taken.part or own & used or not (one.fits or one.mismatch.share >= NEAR):
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
    elif asked is None and any(is_momentum_copy(n) and how == "differs" for n, how in others):
        reason = "it is the encoder that was trained, the other its momentum copy"
    return LoadedWeights(
        file=path.name,
        part=taken.part.name,
        tensors=len(taken.state),
        reason=reason,
        others=tuple(others),
        left_out=tuple(name for name in rest if id(rest[name]) not in used),
        normalisations=constants,
        beside=listed(taken.left),
        renamed=tuple(taken.renamed.items()),
    )


def _relation(one: Reading, taken: Reading) -> str:
    """What another part of the file is beside the one that was taken."""
    if not one.fits:
        return f"does not fit: {'; '.join(one.mismatch.lines())}"
    if same_values(one.state, taken.state):
        return "the same"
    if one.part.never_averaged:
        return "differs; an average that was not updated once (n_averaged = 0)"
    return "averaged, differs" if one.part.averaged else "differs"

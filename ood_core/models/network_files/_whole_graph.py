"""From a program that was read to the network: its one output, no training left in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ood_core.errors import ModelError, did_you_mean
from ood_core.models.graph_points import find_points, linear_map
from ood_core.models.graph_steps import (
    Program,
    Ref,
    Step,
    all_steps,
    cut,
    fold,
    refs,
    with_any_batch,
)

if TYPE_CHECKING:
    from ood_core.experiments.experiment import ClassifierSpec
    from ood_core.models.graph_network import GraphNetwork

__all__ = ["network_of"]

_TRAINING_FLAG = {
    "aten.batch_norm": 5, "aten.native_batch_norm": 5, "aten.cudnn_batch_norm": 5,
    "aten._native_batch_norm_legit": 5, "aten._native_batch_norm_legit_functional": 5,
    "aten.dropout": 2, "aten.dropout_": 2, "aten.native_dropout": 2, "aten.feature_dropout": 2,
    "aten.alpha_dropout": 2, "aten.feature_alpha_dropout": 2,
}  # fmt: skip
"""Where the arguments of an operation say that it runs as in training."""


def network_of(program: Program, spec: ClassifierSpec, how_to_write: str) -> GraphNetwork:
    """The network of a program.

    Parameters
    ----------
    program : as its file says it, with every output.
    spec : `features` names the value that it is to end at, unless that is its head's input.
    how_to_write : how a file is written that can be opened, for errors.

    Raises
    ------
    ModelError
        When it was written in training mode, or which output is meant cannot be told.
    """
    from ood_core.models.graph_network import GraphNetwork

    assert spec.checkpoint is not None
    file = spec.checkpoint.name
    if any(_trains(step) for step in all_steps(program.steps)):
        raise ModelError(
            f"{file} was written in training mode: its dropout or batch normalisation runs as in "
            f"training, so that an image's output depends on chance or on the other images. Write "
            f"it again from model.eval(): {how_to_write}."
        )
    chosen = _chosen(program, spec, file)
    ends = spec.features is not None
    if spec.features is not None and not spec.encoder and len(program.outputs) == 1:
        ends = not _is_head_input(chosen, spec.features)
        chosen = cut(chosen, {"": Ref(_named(chosen)[spec.features])}) if ends else chosen
    written_for = None
    images = program.shape[0] if program.shape else None
    if images is not None:
        written_for, chosen = chosen, with_any_batch(chosen, images)
    return GraphNetwork(chosen, ends_at_features=ends, written_for=written_for)


def _chosen(program: Program, spec: ClassifierSpec, file: str) -> Program:
    """The program with the one output that is meant."""

    outputs = {name: v for name, v in program.outputs.items() if isinstance(v, Ref)}
    if spec.features is not None:
        named = _named(program)
        if spec.features not in named:
            raise ModelError(
                f"features = {spec.features!r} names no value of {file}. "
                f"{did_you_mean(spec.features, named)}"
            )
        if len(outputs) != 1 or spec.encoder:
            return cut(program, {"": Ref(named[spec.features])})
    if len(outputs) == 1:
        return cut(program, outputs)
    by_value = {name: step for step in program.steps for name in step.outputs}
    logits = [n for n in outputs if n.rpartition(".")[2] == "logits"]
    heads = [
        n
        for n, v in outputs.items()
        if v.name in by_value and linear_map(by_value[v.name], program.tensors)
    ]
    for names in (logits, heads):
        if len(names) == 1 and not spec.encoder:
            return cut(program, {"": outputs[names[0]]})
    raise ModelError(
        f"{file} returns {len(program.outputs)} values ({', '.join(program.outputs)}), and which "
        "of them are the logits cannot be told. Write it from a module that returns the logits "
        'alone, or name the one that holds features: features = "…" in [classifier].'
    )


def _named(program: Program) -> dict[str, str]:
    """Names that `features` may have -> the value."""
    outputs = {n: v.name for n, v in program.outputs.items() if n and isinstance(v, Ref)}
    return {**find_points(program).values, **outputs}


def _is_head_input(program: Program, features: str) -> bool:
    """Whether the output is a linear map of the features that are named."""
    folded = fold(program)
    wanted = set(refs(folded.outputs))
    step = next((s for s in folded.steps if wanted & set(s.outputs)), None)
    linear = linear_map(step, folded.tensors) if step is not None else None
    return linear is not None and linear.given.name == _named(program)[features]


def _trains(step: Step) -> bool:
    place = _TRAINING_FLAG.get(step.op)
    if place is None or len(step.args) <= place or step.args[place] is not True:
        return False
    return step.args[1] != 0 if "dropout" in step.op else step.args[3] is not None

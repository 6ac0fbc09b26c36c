"""Networks of transformers from a configuration and tensors, without its loading from disk.

transformers' own reading of a folder may fetch adapters, kernels and backbones that the folder
names, and unpickles the index of distributed checkpoints. Here it is given neither path nor name.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError
from ood_core.models.checkpoints import read_checkpoint
from ood_core.models.network_files._transformers_classes import Chosen, choose
from ood_core.models.tensor_values import hints, readable
from ood_core.models.tracing import behead

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["open_transformers_folder"]

_DROPPED = (
    "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
    "experts_implementation", "_experts_implementation", "_experts_implementation_internal",
    "fusion_config", "distributed_config", "transformers_weights", "dtype", "torch_dtype",
    "output_attentions", "output_hidden_states", "return_dict", "use_return_dict", "torchscript",
)  # fmt: skip
"""Keys of a configuration that choose how something is computed, or from where; not what."""
_BUFFERS = ("position_ids", "position_index", "num_batches_tracked", "relative_coords_table")
"""Tensors that the network makes itself; older versions of transformers saved them too."""


def open_transformers_folder(
    folder: Path, config: Mapping[str, Any], weights: Path, headless: bool
) -> nn.Module:
    """A module from images to logits (n, classes), or to features (n, d) where `headless`.

    Raises
    ------
    ModelError
        When transformers is missing or has no such network, it does not take images, has no head
        and is not `headless`, or the weights are not exactly those that it needs.
    """
    try:
        with _silent():
            import transformers
    except ImportError as error:
        raise ModelError(
            f"{folder.name} is a folder of Hugging Face transformers, which is not installed: run "
            "`pip install transformers`, or name an export of the network (torch.export, ONNX)."
        ) from error
    chosen = choose(folder.name, config, headless)
    state = _tensors(weights)
    with _silent(), _quiet(transformers):
        network, told = _loaded(folder.name, chosen, _plain(config), state)
    _check(folder.name, chosen, told, state)
    _check_kinds(network, state)
    from ood_core.models.network_files._transformers_outputs import network_with_output

    module = network_with_output(network, chosen, folder)
    return behead(module, _image_shape(config)) if chosen.head_off else module


def _image_shape(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """(channels, height, width) of images that the network takes."""
    inner = config.get("vision_config")
    values = inner if isinstance(inner, Mapping) else config
    side = values.get("image_size") or 224
    height, width = side if isinstance(side, list | tuple) else (side, side)
    return int(values.get("num_channels") or 3), int(height), int(width)


def _tensors(weights: Path) -> dict[str, torch.Tensor]:
    """What the file holds, floats as float32 whatever they were saved in."""
    import torch

    content = read_checkpoint(weights)
    if not isinstance(content, Mapping) or not all(map(torch.is_tensor, content.values())):
        raise ModelError(
            f"{weights.name} holds more than named tensors. Save the network with save_pretrained."
        )
    found = dict(content)
    own = {
        name: torch.zeros((), dtype=torch.float32 if t.is_floating_point() else t.dtype)
        for name, t in found.items()
        if not t.is_quantized
    }
    if len(own) < len(found):
        raise ModelError(f"{weights.name} cannot be read:{hints(found)}")
    read, _ = readable(found, own)
    return {name: t.float() if t.is_floating_point() else t for name, t in read.items()}


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without what says how to compute, at every depth."""
    return {
        key: _plain(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in _DROPPED
    }


def _loaded(
    name: str, chosen: Chosen, values: dict[str, Any], state: dict[str, torch.Tensor]
) -> tuple[Any, Mapping[str, Any]]:
    """The network, float32, and what transformers says of names that it did not find."""
    import torch

    if chosen.output == "features of the head":
        values = {k: v for k, v in values.items() if k not in ("id2label", "label2id")}
    try:
        config = chosen.config_class.from_dict(values)
        if chosen.output == "features of the head":
            config.num_labels = 0
        with torch.random.fork_rng(devices=[]):
            network, told = chosen.network_class.from_pretrained(
                None, config=config, state_dict=state, dtype=torch.float32,
                output_loading_info=True, local_files_only=True, ignore_mismatched_sizes=True,
            )  # fmt: skip
    except Exception as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(
            f"{chosen.network_class.__name__} cannot be made of {name}: {first} Its config.json "
            "and its weights belong together; copy or download both again."
        ) from error
    return network.requires_grad_(False), told


def _check(
    name: str, chosen: Chosen, told: Mapping[str, Any], state: dict[str, torch.Tensor]
) -> None:
    """Weights that are missing would be random numbers: all of them, or an error."""
    missing = sorted(k for k in told["missing_keys"] if not k.endswith(_BUFFERS))
    mismatched = [
        f"{key}: file {tuple(theirs)}, network {tuple(own)}"
        for key, theirs, own in sorted(told.get("mismatched_keys") or ())
    ]
    unexpected = sorted(k for k in told["unexpected_keys"] if not chosen.may_hold(k, state))
    unexpected = [k for k in unexpected if not k.endswith(_BUFFERS)]
    said = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for what, names in (
            ("missing", missing), ("of another shape", mismatched), ("unexpected", unexpected)
        )
        if names
    ]  # fmt: skip
    if said:
        raise ModelError(
            f"the weights of {name} do not fit {chosen.network_class.__name__}, nothing was "
            f"loaded: {'; '.join(said)}. config.json must be the one that was saved with them."
            f"{hints(state)}"
        )
    if told.get("error_msgs"):
        raise ModelError(f"the weights of {name} do not fit: {'; '.join(told['error_msgs'])}.")


def _check_kinds(network: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Whole numbers where the network has floats are codes of a quantised one."""
    import torch

    own = network.state_dict()
    scalars = {k: torch.zeros((), dtype=own[k].dtype) for k in state if k in own}
    readable({k: state[k] for k in scalars}, scalars)


@contextmanager
def _silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecations within transformers
        yield


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without transformers' report on the weights and its bar: errors here say it."""
    log = transformers.utils.logging
    level, bar = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(50)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bar:
            log.enable_progress_bar()

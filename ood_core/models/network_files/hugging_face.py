"""Folders of Hugging Face transformers, and timm's of that form, as they lie on disk.

Nothing is downloaded, and no code that comes with a folder is run: the configuration is read as
JSON, weights as tensors alone, and the classes are those of the installed packages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_core.errors import ModelError
from ood_core.experiments.experiment import Preprocessing
from ood_core.experiments.model_folders import folder_json, is_timm_folder, model_folder
from ood_core.experiments.parsing import checked_preprocessing
from ood_core.models.checkpoint_shards import checkpoint_files
from ood_core.models.network_files._image_processors import stated_preprocessing
from ood_core.models.network_files._timm_folders import (
    open_timm_folder,
    timm_class_names,
    timm_preprocessing,
)
from ood_core.models.network_files._transformers import open_transformers_folder
from ood_core.models.published_weights import WeightsMissingError, package_version

if TYPE_CHECKING:
    from torch import nn

    from ood_core.experiments.experiment import ClassifierSpec

__all__ = ["FORMAT", "class_names", "files", "load", "preprocessing", "version"]

FORMAT = "huggingface"

_WEIGHTS = (
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)  # fmt: skip
"""Files with the weights, in the order in which transformers prefers them."""
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def load(spec: ClassifierSpec) -> nn.Module:
    """The network of a folder, float32, in eval mode; without its head for `num_classes` = 0.

    Raises
    ------
    ModelError
        When the folder names code of its own or is quantised, its task is not one of images, its
        weights are not complete, or the package that builds it is missing.
    """
    folder = _folder(spec.checkpoint)
    config = folder_json(folder / "config.json")
    _refuse(folder, config)
    headless = spec.encoder
    weights = _weights(folder)
    if is_timm_folder(config):
        return open_timm_folder(folder, config, weights, headless, spec.part).eval()
    return open_transformers_folder(folder, config, weights, headless).eval()


def files(path: Path) -> tuple[Path, ...]:
    """config.json, the image processor's, and the weights with all their shards."""
    folder = _folder(path)
    stated = [folder / name for name in _PROCESSORS if (folder / name).is_file()]
    return (folder / "config.json", *stated, *checkpoint_files(_weights(folder)))


def version() -> str:
    """Versions of the two packages that build such networks."""
    return f"transformers {package_version('transformers')} timm {package_version('timm')}"


def preprocessing(path: Path) -> Preprocessing | None:
    """The transform of preprocessor_config.json, or of timm's configuration.

    Raises
    ------
    ModelError
        When it says what an experiment's [preprocessing] may not.
    """
    folder = _folder(path)
    try:
        found = _preprocessing(folder)
        return None if found is None else checked_preprocessing(found)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"the preprocessing that {folder.name} states cannot be used: "
            f"{str(error).rstrip('.')}. Give [preprocessing] with resize, center_crop, mean, std."
        ) from error


def _preprocessing(folder: Path) -> Preprocessing | None:
    config = folder_json(folder / "config.json")
    if is_timm_folder(config):
        return timm_preprocessing(config)
    inner = config.get("vision_config")
    channels = (inner if isinstance(inner, Mapping) else config).get("num_channels", 3)
    return stated_preprocessing(folder, 1 if channels == 1 else 3)


def class_names(path: Path) -> tuple[str, ...] | None:
    """`id2label` in order, or timm's `label_names`; None where they are LABEL_0, LABEL_1, …"""
    config = folder_json(_folder(path) / "config.json")
    if is_timm_folder(config):
        return timm_class_names(config)
    given = config.get("id2label")
    if not isinstance(given, Mapping) or not given:
        return None
    try:
        named = {int(key): str(value) for key, value in given.items()}
    except (TypeError, ValueError):
        return None
    names = tuple(named.get(c, "") for c in range(len(named)))
    placeholders = all(re.fullmatch(rf"(LABEL_)?{c}", n) for c, n in enumerate(names))
    return None if placeholders or not all(names) or len(set(names)) < len(names) else names


def _folder(path: Path | None) -> Path:
    found = None if path is None else model_folder(path)
    if found is None:
        raise ModelError(
            f"{path} is no folder of Hugging Face or timm: config.json is missing, or says neither "
            "model_type nor architecture. Name the folder that holds config.json and the weights."
        )
    return found


def _weights(folder: Path) -> Path:
    found = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if found is not None:
        return found
    there = {path.name for path in folder.iterdir()}
    what = ""
    if any(name.startswith("adapter_model") for name in there):
        what = " It holds an adapter alone (PEFT): merge it into its network, then save that."
    elif {"tf_model.h5", "flax_model.msgpack"} & there:
        what = " It holds weights of TensorFlow or Flax: save them from PyTorch."
    raise WeightsMissingError(
        f"{folder} holds no weights: one of {', '.join(_WEIGHTS)} must lie beside config.json."
        f"{what}"
    )


def _refuse(folder: Path, config: Mapping[str, Any]) -> None:
    """What would run code that comes with the folder, or compute with other numbers."""
    if config.get("auto_map"):
        raise ModelError(
            f"the config.json of {folder.name} names code of its own (auto_map), which is not run. "
            "Only networks that the installed transformers has are opened: convert it to one, or "
            "export it (torch.export, ONNX) and name that file."
        )
    if config.get("quantization_config"):
        raise ModelError(
            f"the weights of {folder.name} are quantised (quantization_config). Save the network "
            "before it is quantised."
        )
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder.name} has an adapter beside its weights (adapter_config.json), which is not "
            "applied. Merge it (PEFT's merge_and_unload), then save the network."
        )

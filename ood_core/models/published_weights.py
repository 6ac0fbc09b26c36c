"""Published weights: where their file is, and what belongs to them (transforms, class names).

What torchvision or timm say about weights is kept in a small file beside the weights, so that
an experiment whose activations are stored is opened without importing either.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ood_core.errors import ModelError
from ood_core.experiments.experiment import Preprocessing
from ood_core.experiments.own_code import is_own_code
from ood_core.models.architectures import collection
from ood_core.runtime.paths import weights_dir

__all__ = [
    "SHIPPED",
    "SHIPPED_DIR",
    "PublishedWeights",
    "WeightsMissingError",
    "own_file",
    "package_version",
    "published_file",
    "published_weights",
]


SHIPPED = "shipped"
"""Value of `weights` in an experiment whose classifier's weights are part of this package."""
SHIPPED_DIR = Path(__file__).parent / "weights"
"""Folder of those weights: ARCHITECTURE.safetensors. scripts/train_digits.py wrote the one."""


class WeightsMissingError(ModelError):
    """The classifier's weights are not on this machine yet."""


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that a package knows by name.

    Parameters
    ----------
    url : where their file is downloaded from.
    cached : path pattern of the file in the package's own cache.
    preprocessing : the transforms they were evaluated with.
    class_names : names of the classes, or None.
    size : bytes of the file, 0 where unknown.
    """

    url: str
    cached: str
    preprocessing: Preprocessing
    class_names: tuple[str, ...] | None = None
    size: int = 0


def published_weights(architecture: str, weights: str | None) -> PublishedWeights | None:
    """What belongs to the named weights; None for an architecture without published ones.

    Raises
    ------
    ModelError
        For an unknown name, with the names there are.
    """
    package, colon, name = architecture.partition(":")
    if not colon or is_own_code(architecture):
        return None
    label = f"{package}-{name}-{weights or 'default'}-{package_version(package)}"
    note = weights_dir() / f"{label.replace('/', '_')}.json"
    if note.exists():
        return _from_note(json.loads(note.read_text(encoding="utf-8")))

    module = collection(architecture)
    if module is None:
        return None
    found: PublishedWeights = module.published(name, weights)
    partial = note.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
    os.replace(partial, note)
    return found


def published_file(architecture: str, weights: str | None) -> Path:
    """The weights' file: shipped, downloaded here, or in a cache of torch hub or Hugging Face.

    Raises
    ------
    WeightsMissingError
        When it is in neither, with how to get it. Nothing is downloaded.
    """
    found = published_weights(architecture, weights)
    if found is None:
        shipped = SHIPPED_DIR / f"{architecture}.safetensors"
        if weights == SHIPPED and shipped.is_file():
            return shipped
        raise ModelError(
            f"architecture {architecture!r} has no published weights {weights!r}: give a "
            'checkpoint file, or use "torchvision:NAME" or "timm:NAME".'
        )
    for path in (own_file(found), *_in_caches(found.cached)):
        if path.is_file():
            return path
    raise WeightsMissingError(
        f"the weights {weights} of {architecture} are not on this machine"
        f"{_megabytes(found.size)}. Download them with: curl -L -o {own_file(found)} {found.url}"
    )


def package_version(package: str) -> str:
    """Version of an installed package, "none" where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def own_file(found: PublishedWeights) -> Path:
    """Place in our own folder; files that all have the same name there get their model's name."""
    name = found.url.rpartition("/")[2]
    if name == "model.safetensors":
        name = f"{found.url.split('/')[-4]}.safetensors"
    return weights_dir() / name


def _in_caches(pattern: str) -> list[Path]:
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    torch_home = Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser()
    hf_home = Path(os.environ.get("HF_HOME", cache / "huggingface")).expanduser()
    hf_cache = Path(os.environ.get("HF_HUB_CACHE", hf_home / "hub")).expanduser()
    return [p for root in (torch_home, hf_cache) for p in sorted(root.glob(pattern))]


def _megabytes(size: int) -> str:
    return f" ({size / 2**20:.0f} MB)" if size else ""


def _from_note(note: dict[str, Any]) -> PublishedWeights:
    names, transform = note.pop("class_names"), note.pop("preprocessing")
    transform |= {key: tuple(transform[key]) for key in ("mean", "std")}
    return PublishedWeights(
        **note,
        preprocessing=Preprocessing(**transform),
        class_names=tuple(names) if names else None,
    )

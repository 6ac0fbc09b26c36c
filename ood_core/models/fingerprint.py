"""Identity of an experiment's classifier without loading it: what the activation store keys on."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.errors import ModelError
from ood_core.models.training import TRAINED_HERE, trained_path

if TYPE_CHECKING:
    from ood_core.experiments import Experiment

__all__ = ["WeightsMissingError", "model_fingerprint", "weights_file"]


class WeightsMissingError(ModelError):
    """The classifier's weights are not on this machine yet."""


def model_fingerprint(exp: Experiment) -> str:
    """Hash of the weights' bytes and of what turns them into a network. Never imports torch.

    A file's hash is remembered by path, size and modification time, so asking again is cheap.

    Raises
    ------
    WeightsMissingError
        When the weights are not there: not trained yet, not downloaded, or no such file.
    """
    spec = exp.classifier
    weights = f"random:{spec.random_weights}"
    if spec.random_weights is None:
        path = weights_file(exp)
        status = path.stat()
        weights = _file_hash(path, status.st_size, status.st_mtime_ns)
    parts = (spec.architecture, _code(spec.architecture), str(spec.num_classes), weights)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def weights_file(exp: Experiment) -> Path:
    """File that the experiment's weights are read from.

    Raises
    ------
    WeightsMissingError
        When it is not there, with what to do.
    """
    spec = exp.classifier
    if spec.checkpoint is not None:
        if not spec.checkpoint.is_file():
            raise WeightsMissingError(f"checkpoint {spec.checkpoint} is not a file.")
        return spec.checkpoint
    if spec.weights == TRAINED_HERE:
        path = trained_path(exp)
        if not path.exists():
            raise WeightsMissingError(
                f"the classifier of {exp.name!r} is not trained yet: prepare the experiment."
            )
        return path
    from ood_core.models.downloads import downloaded_file

    return downloaded_file(spec.architecture, spec.weights)


@lru_cache(maxsize=64)
def _file_hash(path: Path, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _code(architecture: str) -> str:
    """Version of the package an architecture comes from; ours are known by their state dict."""
    package = architecture.partition(":")[0] if ":" in architecture else None
    if package is None:
        return "built-in"
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} missing"

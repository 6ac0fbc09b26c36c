"""Identity of an experiment's classifier without loading it: what the activation store keys on."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.models.checkpoint_shards import checkpoint_files
from ood_core.models.digits_training import TRAINED_HERE, trained_path
from ood_core.models.published_weights import WeightsMissingError, package_version, published_file

if TYPE_CHECKING:
    from ood_core.experiments import Experiment

__all__ = ["model_fingerprint", "weights_file"]


def model_fingerprint(exp: Experiment) -> str:
    """Hash of the weights' bytes and of what turns them into a network. Never imports torch.

    A file's hash is remembered by path, size and modification time, so asking again is cheap.

    Raises
    ------
    WeightsMissingError
        When the weights are not there: not trained yet, not downloaded, no such file or shard.
    """
    spec = exp.classifier
    weights = f"random:{spec.random_weights}"
    if spec.random_weights is None:
        files = [(file, file.stat()) for file in checkpoint_files(weights_file(exp))]
        weights = "+".join(_file_hash(f, s.st_size, s.st_mtime_ns) for f, s in files)
    parts = [spec.architecture, _code(spec.architecture), str(spec.num_classes), weights]
    if spec.part is not None:
        parts.append(f"part:{spec.part}")
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
    return published_file(spec.architecture, spec.weights)


@lru_cache(maxsize=64)
def _file_hash(path: Path, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _code(architecture: str) -> str:
    """What decides how weights become a network: the package's version, or our file's content."""
    package, colon, _ = architecture.partition(":")
    if colon:
        return f"{package} {package_version(package)}"
    quoted = f'"{architecture}"'.encode()
    files = sorted((Path(__file__).parent / "architectures").glob("*.py"))
    code = [content for content in (f.read_bytes() for f in files) if quoted in content]
    return hashlib.sha256(b"".join(code)).hexdigest()

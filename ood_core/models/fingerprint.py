"""Identity of an experiment's classifier without loading it: what the activation store keys on."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ood_core.experiments.network_formats import NETWORK_FORMATS
from ood_core.experiments.own_code import is_own_code
from ood_core.models.architecture_plugins import is_plugin, plugin_identity
from ood_core.models.checkpoint_shards import checkpoint_files
from ood_core.models.digits_training import TRAINED_HERE, trained_path
from ood_core.models.features_classifier import features_fingerprint
from ood_core.models.network_files import network_files, network_version
from ood_core.models.own_networks import find_code
from ood_core.models.parts import says_averaged
from ood_core.models.published_weights import WeightsMissingError, package_version, published_file

if TYPE_CHECKING:
    from ood_core.experiments import Experiment

__all__ = ["model_fingerprint", "weights_file"]

_NAMES = 2**20
"""Bytes at a file's beginning that hold its names, where it is no zip archive."""
_TEXT = re.compile(rb"X(.{2}\x00\x00)", re.DOTALL)
_ALWAYS_FIRST = {"ema", "model_ema", "state_dict_ema", "ema_state_dict"}
"""Averages that have been loaded before the others from the first version on."""


def model_fingerprint(exp: Experiment) -> str:
    """Hash of the weights' bytes and of what turns them into a network. Never imports torch.

    A file's hash is remembered by path, size and modification time, so asking again is cheap.

    Raises
    ------
    WeightsMissingError
        When the weights are not there: not trained yet, not downloaded, no such file or shard.
    """
    spec = exp.classifier
    if spec.features_only:
        return features_fingerprint(exp)
    weights = f"random:{spec.random_weights}"
    whole = spec.architecture in NETWORK_FORMATS
    if spec.random_weights is None:
        file = weights_file(exp)
        files = network_files(spec) if whole else checkpoint_files(file)
        weights = "+".join(_file_hash(*_identity(file)) for file in files)
    own = is_own_code(spec.architecture)  # where its file lies is not what it is
    name = "code of one's own" if own else spec.architecture
    parts = [name, _code(spec.architecture), str(spec.num_classes), weights]
    if spec.arguments:
        parts.append(f"arguments:{json.dumps(spec.arguments, sort_keys=True, default=str)}")
    if spec.features is not None:
        parts.append(f"features:{spec.features}")
    if spec.keys is not None:
        parts.append(f"keys:{spec.keys}")
    for key, own_file in (("text", spec.text), ("head", spec.head)):
        if own_file is not None:
            parts.append(f"{key}:{_own_hash(own_file)}")
    if spec.temperature is not None:
        parts.append(f"temperature:{spec.temperature}")
    if spec.part is not None:
        parts.append(f"part:{spec.part}")
    elif spec.checkpoint is not None and not whole and _takes_average(*_identity(spec.checkpoint)):
        parts.append("averaged weights win")
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
        folder = spec.architecture in NETWORK_FORMATS and spec.checkpoint.is_dir()
        if not spec.checkpoint.is_file() and not folder:
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


def _own_hash(path: Path) -> str:
    """Hash of a file with a head or with embeddings of texts."""
    if not path.is_file():
        raise WeightsMissingError(f"{path} is not a file.")
    return _file_hash(*_identity(path))


def _identity(path: Path) -> tuple[Path, int, int]:
    status = path.stat()
    return path, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=64)
def _takes_average(path: Path, size: int, mtime_ns: int) -> bool:
    """Whether a file may hold averages that were not always the ones loaded.

    Activations of such a file were stored for other weights of it once: they have another key.
    Told from the names in it alone, without reading a tensor.
    """
    with open(path, "rb") as file:
        names = file.read(_NAMES)
    if zipfile.is_zipfile(path):
        with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
            table = [n for n in archive.namelist() if n.endswith("/data.pkl")]
            names = b"".join(archive.read(name) for name in table)
    words = {word.decode() for word in _texts(names)}
    if {"current_model_state", "dino_loss"} & words or {"ema_state_dict", "steps"} <= words:
        return True
    return any(says_averaged(step) for word in words - _ALWAYS_FIRST for step in word.split("."))


def _texts(names: bytes) -> set[bytes]:
    """Names in a JSON header or in a pickle, where each stands behind X and its length."""
    if not names.startswith(b"\x80") or names[8:9] == b"{":
        return set(re.findall(rb"[A-Za-z_][A-Za-z0-9_.]*", names))
    found = ((m.end(), int.from_bytes(m[1], "little")) for m in _TEXT.finditer(names))
    texts = {names[start : start + length] for start, length in found}
    return {text for text in texts if text.isascii()}


@lru_cache(maxsize=64)
def _file_hash(path: Path, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _code(architecture: str) -> str:
    """What decides how weights become a network: the package's version, or the code's content."""
    if architecture in NETWORK_FORMATS:
        return network_version(architecture)
    if is_own_code(architecture):
        found = find_code(architecture)
        return f"{found.target} {found.digest}"
    package, colon, _ = architecture.partition(":")
    if colon:
        return f"{package} {package_version(package)}"
    quoted = f'"{architecture}"'.encode()
    files = sorted((Path(__file__).parent / "architectures").glob("*.py"))
    code = [content for content in (f.read_bytes() for f in files) if quoted in content]
    if not code and is_plugin(architecture):
        return plugin_identity(architecture)
    return hashlib.sha256(b"".join(code)).hexdigest()

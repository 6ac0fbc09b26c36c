"""Where stored activations live: keys, entries, locks, how much disk they take.

    store/
      models/KEY.json, KEY.safetensors     what the warm path knows of a classifier
      sets/SET_KEY/ENTRY/entry.json        one entry per layer, and one for logits and ids
      sets/SET_KEY/ENTRY/00000.safetensors shards of SHARD_IMAGES images each
      locks/SET_KEY.lock                   held while a set is extracted

SET_KEY is a hash of the weights, the architecture, the preprocessing, the identity of every
image and the numeric precision; ENTRY adds the layer. Nothing is ever updated in place: what
changes gets another key, and what is not used any more goes when room is needed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ood_core.activations.shards import DamagedShardError, read_metadata, write_bytes
from ood_core.errors import ConfigError
from ood_core.runtime import paths

__all__ = [
    "BASE",
    "SHARD_IMAGES",
    "Entry",
    "EntryIndex",
    "StoredEntry",
    "hash_of",
    "max_bytes",
    "prune",
    "set_lock",
    "store_usage",
]

logger = logging.getLogger("ood_core.activations")

FORMAT = 1
"""Raised when the meaning of what is stored changes: older entries are then never read."""

SHARD_IMAGES = 1024
"""Images per shard: what a killed run loses at most."""

BASE = "@base"
"""Entry of a set that holds logits, labels, ids and the numbers of the images that were read."""

_DEFAULT_GB = 20.0


def hash_of(*parts: Any) -> str:
    """Hex digest (128 bits) of JSON-able parts and of the store's format."""
    text = json.dumps([FORMAT, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class EntryIndex:
    """What a complete entry says about itself: rows and bytes of each shard, and its layer."""

    rows: tuple[int, ...]
    sizes: tuple[int, ...]
    info: dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """Shards of one layer of one image set."""

    set_key: str
    layer: str
    root: Path = field(default_factory=lambda: _sets_dir())

    @property
    def folder(self) -> Path:
        """Folder of this entry; made when the first shard is written."""
        slug = re.sub(r"[^A-Za-z0-9.]+", "_", self.layer)[:40]
        name = f"{slug}-{hash_of(self.layer, SHARD_IMAGES)[:8]}"
        return self.root / self.set_key / name

    def shard(self, number: int) -> Path:
        """File of one shard."""
        return self.folder / f"{number:05d}.safetensors"

    def has(self, number: int) -> bool:
        """Whether a shard is there and whole; a damaged one is removed."""
        path = self.shard(number)
        if not path.exists():
            return False
        try:
            read_metadata(path)
        except DamagedShardError as problem:
            logger.warning("%s It is computed again.", problem)
            path.unlink(missing_ok=True)
            return False
        return True

    def index(self) -> EntryIndex | None:
        """Index of the complete entry, or None when anything is missing or has another size."""
        try:
            content = json.loads((self.folder / "entry.json").read_text(encoding="utf-8"))
            found = {f.name: f.stat().st_size for f in os.scandir(self.folder)}
        except (OSError, ValueError):
            return None
        sizes = content.get("sizes", ())
        names = (f"{i:05d}.safetensors" for i in range(len(sizes)))
        if not sizes or any(found.get(f) != size for f, size in zip(names, sizes, strict=True)):
            return None
        return EntryIndex(tuple(content["rows"]), tuple(sizes), content["info"])

    def begin(self, info: dict[str, Any]) -> None:
        """Make the folder and say what it is, before the first shard."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "entry.json").exists():
            self._write({"layer": self.layer, "info": info})

    def finish(self, info: dict[str, Any], n_shards: int) -> None:
        """Write the index that makes the entry complete."""
        shards = [self.shard(i) for i in range(n_shards)]
        rows = [read_metadata(path)["rows"] for path in shards]
        sizes = [path.stat().st_size for path in shards]
        self._write({"layer": self.layer, "info": info, "rows": rows, "sizes": sizes})

    def touch(self) -> None:
        """Note that the entry is used: the least recently used goes first."""
        path = self.folder / "entry.json"
        try:
            if time.time() - path.stat().st_mtime > 60:
                os.utime(path)
        except OSError:  # gone meanwhile, or a read-only store
            logger.debug("could not touch %s", path)

    def _write(self, content: dict[str, Any]) -> None:
        write_bytes(self.folder / "entry.json", json.dumps(content).encode())


def set_lock(set_key: str) -> Any:
    """File lock (filelock.FileLock) held by whoever extracts this set."""
    folder = paths.store_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{set_key}.lock")


@dataclass(frozen=True)
class StoredEntry:
    """One entry on disk: what it is of, its size and when it was last used."""

    set_key: str
    layer: str
    info: dict[str, Any]
    bytes: int
    used: float
    folder: Path


def store_usage() -> list[StoredEntry]:
    """Entries on disk, least recently used first."""
    return sorted(_entries(), key=lambda entry: (entry.used, entry.set_key, entry.layer))


def max_bytes() -> int:
    """Bytes that the store may take: `OOD_LENS_STORE_GB` (10^9 bytes each), 20 by default.

    Raises
    ------
    ConfigError
        When the variable is not a positive number.
    """
    given = os.environ.get("OOD_LENS_STORE_GB", str(_DEFAULT_GB))
    try:
        gigabytes = float(given)
    except ValueError:
        gigabytes = -1.0
    if not gigabytes > 0:
        raise ConfigError(
            f"OOD_LENS_STORE_GB must be a positive number of gigabytes; got {given!r}."
        )
    return int(gigabytes * 1e9)


def prune(limit: int | None = None, keep: Collection[str] = ()) -> int:
    """Remove least recently used entries until the store fits; return the bytes freed.

    Parameters
    ----------
    limit : bytes that may stay; `max_bytes()` for None.
    keep : set keys that stay whatever their age. Sets being extracted stay too.
    """
    limit = max_bytes() if limit is None else limit
    for leftover in _sets_dir().glob("*/.*.trash"):  # of a process that was killed here
        shutil.rmtree(leftover, ignore_errors=True)
    entries = store_usage()
    total = sum(entry.bytes for entry in entries)
    freed = 0
    for entry in entries:
        if total - freed <= limit:
            break
        if entry.set_key not in keep and _remove(entry):
            freed += entry.bytes
    return freed


def _remove(entry: StoredEntry) -> bool:
    lock = set_lock(entry.set_key)
    try:
        with lock.acquire(timeout=0):
            trash = entry.folder.with_name(f".{entry.folder.name}.trash")
            os.replace(entry.folder, trash)
            shutil.rmtree(trash, ignore_errors=True)
    except (Timeout, OSError):
        return False
    logger.info("removed stored layer %s of %s", entry.layer, entry.info.get("set"))
    return True


def _sets_dir() -> Path:
    return paths.store_dir() / "sets"


def _entries() -> Iterator[StoredEntry]:
    for index in _sets_dir().glob("*/*/entry.json"):
        try:
            content = json.loads(index.read_text(encoding="utf-8"))
            size = sum(f.stat().st_size for f in os.scandir(index.parent))
            used = index.stat().st_mtime
        except (OSError, ValueError):
            continue
        yield StoredEntry(
            index.parent.parent.name, content["layer"], content["info"], size, used, index.parent
        )

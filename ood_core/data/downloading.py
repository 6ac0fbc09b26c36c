"""Downloading a torchvision data set, on request only, with progress and a way to stop."""

from __future__ import annotations

import http
import http.client
import os
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ood_core.data.opening import open_dataset
from ood_core.data.subsets import whole
from ood_core.data.torchvision_names import (
    NAMED_SETS,
    find_named,
    marker_path,
    named_folder,
    named_split,
    unfinished,
)
from ood_core.data.torchvision_set import torchvision_dataset
from ood_core.errors import DataError
from ood_core.experiments import DataSpec
from ood_core.runtime.progress import Meter, ProgressCallback, StopCheck

__all__ = ["download"]

_CHUNK = 1 << 18
_TIMEOUT = 30.0
_hooked = threading.Lock()


def download(
    spec: DataSpec,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> Path:
    """Download a torchvision data set, check it, and return the folder it lies in.

    Addresses and checksums are torchvision's own. What is on disk is not fetched again; a
    download that was stopped goes on where it stopped.

    Parameters
    ----------
    spec : a data set of kind "torchvision".
    progress : called with bytes done and to do.
    should_stop : asked between chunks.

    Raises
    ------
    DataError
        When it is of another kind, the network does not answer, the checksum is wrong, or the
        number of images is not the one expected.
    StoppedError
        When `should_stop` says so.
    """
    if spec.kind != "torchvision":
        hint = spec.options.get("obtain", "Put its files where the experiment file says.")
        raise DataError(f"data set {spec.name!r} cannot be downloaded from here. {hint}")
    root = find_named(spec)
    if root is None:
        root = named_folder(spec.source)
        root.mkdir(parents=True, exist_ok=True)
        with _alone(spec, root):
            _fetch(spec, root, progress, should_stop)
    _check_count(spec)
    return root


@contextmanager
def _alone(spec: DataSpec, root: Path) -> Iterator[None]:
    """One download of a set at a time; what a killed one unpacked by half is removed first."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(root / ".lock", timeout=0):
            flag, unpacked = unfinished(spec), marker_path(spec, root)
            if flag.exists() and unpacked.is_dir():
                shutil.rmtree(unpacked)
            flag.touch()
            yield
            flag.unlink()
    except Timeout as error:
        raise DataError(f"{spec.source} is being downloaded already; wait for it.") from error


def _fetch(
    spec: DataSpec, root: Path, progress: ProgressCallback | None, should_stop: StopCheck | None
) -> None:
    def retrieve(url: str, filename: str | Path, *_: object) -> None:
        _stream(url, Path(filename), spec.source, progress, should_stop)

    try:
        with _torchvision_retrieves_with(retrieve):
            torchvision_dataset(spec, root, download=True)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"cannot download {spec.source} ({reason}). Check the network and try again: what "
            f"arrived is kept. Or fetch it elsewhere with torchvision and copy it to {root}."
        ) from error
    except RuntimeError as error:
        raise DataError(
            f"the download of {spec.source} is not what torchvision expects ({error}). Remove "
            f"{root} and try again."
        ) from error


@contextmanager
def _torchvision_retrieves_with(retrieve: Callable[..., None]) -> Iterator[None]:
    """Let torchvision fetch files through `retrieve`; its own has no progress and no stop."""
    from torchvision.datasets import utils

    with _hooked:
        original = utils._urlretrieve
        utils._urlretrieve = retrieve
        try:
            yield
        finally:
            utils._urlretrieve = original


def _stream(
    url: str,
    target: Path,
    name: str,
    progress: ProgressCallback | None,
    should_stop: StopCheck | None,
) -> None:
    """Fetch one file into `target` by way of `target.part`, continuing what is there."""
    part = target.with_name(target.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "ood-lens"} | ({"Range": f"bytes={have}-"} if have else {})
    with _opened(url, headers, part) as response:
        if response.status != 206:
            have = 0
        length = have + int(response.headers.get("Content-Length") or 0)
        _check_space(target.parent, length - have, name)
        meter = Meter(f"downloading {name}: {target.name}", length, progress, should_stop)
        meter.skip(have)
        with open(part, "ab" if have else "wb") as out:
            while chunk := response.read(_CHUNK):
                out.write(chunk)
                meter.advance(len(chunk))
    if length and part.stat().st_size < length:
        raise ConnectionError(f"the connection ended after {part.stat().st_size:,} bytes")
    os.replace(part, target)


def _opened(url: str, headers: dict[str, str], part: Path) -> Any:
    """The server's answer; a part that the server cannot continue is dropped."""
    try:
        request = urllib.request.Request(url, headers=headers)
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        part.unlink()
        whole_file = {k: v for k, v in headers.items() if k != "Range"}
        return urllib.request.urlopen(
            urllib.request.Request(url, headers=whole_file), timeout=_TIMEOUT
        )


def _check_space(folder: Path, needed: int, name: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"cannot download {name}: {needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB "
            f"are free in {folder}."
        )


def _check_count(spec: DataSpec) -> None:
    found = len(open_dataset(whole(spec)))
    expected = NAMED_SETS[spec.source].images.get(named_split(spec))
    if expected is not None and found != expected:
        raise DataError(
            f"{spec.source} arrived with {found:,} images, expected {expected:,}. Remove "
            f"{find_named(spec)} and download it again."
        )

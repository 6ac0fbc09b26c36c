"""Downloading a torchvision data set, on request only, with progress and a way to stop."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ood_core.data.opening import open_dataset
from ood_core.data.subsets import whole
from ood_core.data.torchvision_files import NamedFile, named_files
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
from ood_core.runtime.downloads import DownloadError, download_file
from ood_core.runtime.progress import ProgressCallback, StopCheck

__all__ = ["download"]


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
    """Put the files where torchvision looks for them, then let it check and unpack them."""
    for file in named_files(spec.source, named_split(spec)):
        _from_any_mirror(spec.source, file, root, progress, should_stop)
    try:
        torchvision_dataset(spec, root, download=True)
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"the download of {spec.source} is not what torchvision expects ({error}). Remove "
            f"{root} and try again."
        ) from error


def _from_any_mirror(
    name: str,
    file: NamedFile,
    root: Path,
    progress: ProgressCallback | None,
    should_stop: StopCheck | None,
) -> None:
    failed: list[DownloadError] = []
    for url in file.urls:
        try:
            download_file(
                url,
                root / file.folder / file.name,
                name=name,
                checksum=f"md5:{file.md5}",
                progress=progress,
                should_stop=should_stop,
            )
        except DownloadError as error:
            failed.append(error)
        else:
            return
    raise DataError(str(failed[0])) from failed[0]


def _check_count(spec: DataSpec) -> None:
    found = len(open_dataset(whole(spec)))
    expected = NAMED_SETS[spec.source].images.get(named_split(spec))
    if expected is not None and found != expected:
        raise DataError(
            f"{spec.source} arrived with {found:,} images, expected {expected:,}. Remove "
            f"{find_named(spec)} and download it again."
        )

"""Fetching one file: continued where it stopped, checked, never seen half.

What arrives goes into `FILE.part`; `FILE.part.json` says of which version of the file it is. Both
stay after a stop, an error or a kill, and the next call asks for the rest only. Two versions are
never glued together: the server is told which one was begun (If-Range, RFC 9110 section 13.1.5),
and its answer is compared with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ood_core.errors import OODLensError
from ood_core.runtime.progress import Meter, ProgressCallback, StopCheck

__all__ = ["DownloadError", "download_file"]

_CHUNK = 1 << 18
_TIMEOUT = 30.0


class DownloadError(OODLensError):
    """A file could not be fetched, or is not the one that was expected."""


@dataclass(frozen=True)
class _Wanted:
    """What `download_file` was asked for."""

    url: str
    target: Path
    name: str
    checksum: str
    size: int
    progress: ProgressCallback | None
    should_stop: StopCheck | None

    @property
    def part(self) -> Path:
        """File of what has arrived."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def note(self) -> Path:
        """File that says of which version that is."""
        return self.target.with_name(f"{self.target.name}.part.json")

    def meter(self, doing: str, total: int) -> Meter:
        """Progress of one stage."""
        stage = f"{doing} {self.name and f'{self.name}: '}{self.target.name}"
        return Meter(stage, total, self.progress, self.should_stop)

    def drop(self) -> None:
        """Remove what has arrived, before the note that belongs to it."""
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def download_file(
    url: str,
    target: Path,
    *,
    name: str = "",
    checksum: str = "",
    size: int = 0,
    progress: ProgressCallback | None = None,
    should_stop: StopCheck | None = None,
) -> Path:
    """Fetch a file unless it is there, and return its place.

    Two threads or processes that want the same file fetch it once: the second waits.

    Parameters
    ----------
    url : where it is.
    target : where it goes; its folder is made.
    name : what it belongs to, for messages.
    checksum : "md5:" or "sha256:" and the digest or its beginning; "" where unknown.
    size : about how many bytes it has, for progress where the server does not say.
    progress : called with bytes done and to do.
    should_stop : asked between chunks; what arrived is kept.

    Raises
    ------
    DownloadError
        When the server does not answer or the connection ends early (what arrived is kept), when
        there is no space, or when the file is another than its checksum says (it is removed).
    StoppedError
        When `should_stop` says so.
    """
    wanted = _Wanted(url, target, name, checksum, size, progress, should_stop)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(wanted):
        if not target.exists() or (checksum and _digest(wanted, target) != checksum):
            _fetch(wanted)
    return target


@contextmanager
def _alone(wanted: _Wanted) -> Iterator[None]:
    lock = FileLock(f"{wanted.target}.lock")
    while True:
        with suppress(Timeout):
            lock.acquire(timeout=0.2)
            break
        wanted.meter("waiting for another download of", wanted.size).check()
    try:
        yield
    finally:
        lock.release()


def _fetch(wanted: _Wanted) -> None:
    while True:
        try:
            continued = _receive(wanted)
        except (HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise DownloadError(
                f"cannot download {wanted.name or wanted.url} ({reason}). Check the network and "
                "try again: what arrived is kept. Without a network, copy the file to "
                f"{wanted.target}; it is published at {wanted.url}."
            ) from error
        found = _digest(wanted, wanted.part)
        if found == wanted.checksum:
            break
        wanted.drop()
        if not continued:
            raise DownloadError(
                f"{wanted.url} is damaged: its checksum is {found}, expected {wanted.checksum}. "
                "It was removed; try again, or get the file from elsewhere and copy it to "
                f"{wanted.target}."
            )
    os.replace(wanted.part, wanted.target)
    wanted.drop()


def _receive(wanted: _Wanted) -> bool:
    """Bring `.part` to its whole length; whether it continued what had arrived before."""
    note = _read_note(wanted)
    have = wanted.part.stat().st_size if wanted.part.exists() else 0
    if have and have == note.get("total"):
        return True  # killed between the last byte and the check
    answer, have = _opened(wanted, have, note)
    with answer:
        length = answer.headers.get("Content-Length")
        total = have + int(length or 0)
        _check_space(wanted, total - have)
        if not have:
            wanted.drop()  # first, so that no note ever stands beside another version's bytes
            _write_note(wanted, answer, total if length else None)
        meter = wanted.meter("downloading", total if length else wanted.size)
        meter.skip(have)
        with open(wanted.part, "ab" if have else "wb") as out:
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                meter.advance(len(chunk))
            out.flush()
            os.fsync(out.fileno())
    arrived = wanted.part.stat().st_size
    if length and arrived != total:
        raise ConnectionError(f"the connection ended after {arrived:,} of {total:,} bytes")
    return have > 0


def _opened(wanted: _Wanted, have: int, note: dict[str, Any]) -> tuple[Any, int]:
    """The server's answer, and the byte at which it begins: 0 where it cannot continue."""
    version = note.get("version")
    # Without a version, only the checksum can tell whether the server still has the same file.
    if have and (version or wanted.checksum):
        more = {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})
        try:
            answer = _ask(wanted.url, more)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
        else:
            if answer.status != HTTPStatus.PARTIAL_CONTENT:
                return answer, 0
            if _continues(answer, have, note):
                return answer, have
            answer.close()
    return _ask(wanted.url, {}), 0


def _ask(url: str, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "ood-lens"} | headers)
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()  # it is the answer too, and holds the connection
        raise


def _continues(answer: Any, have: int, note: dict[str, Any]) -> bool:
    """Whether a partial answer begins where we ended, in the version that we began."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != have:
        return False
    version, total = note.get("version"), note.get("total")
    if version and _version(answer) not in (None, version):
        return False
    return total is None or found[2] in ("*", str(total))


def _version(answer: Any) -> str | None:
    """What If-Range takes: a strong ETag, else the date of the last change."""
    etag: str | None = answer.headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    date: str | None = answer.headers.get("Last-Modified")
    return date


def _read_note(wanted: _Wanted) -> dict[str, Any]:
    """Version and length of what was begun; empty where unknown or begun at another address."""
    try:
        note = json.loads(wanted.note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and note.get("url") == wanted.url else {}


def _write_note(wanted: _Wanted, answer: Any, total: int | None) -> None:
    note = {"url": wanted.url, "version": _version(answer), "total": total}
    wanted.note.write_text(json.dumps(note), encoding="utf-8")


def _check_space(wanted: _Wanted, needed: int) -> None:
    folder = wanted.target.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"cannot download {wanted.name or wanted.url}: {needed / 1e6:,.0f} MB are needed and "
            f"{free / 1e6:,.0f} MB are free in {folder}. Free some space, or set OOD_LENS_HOME to "
            "a folder on another disk."
        )


def _digest(wanted: _Wanted, path: Path) -> str:
    """Checksum of a file, as long as the expected one; "" where none is expected."""
    method, _, expected = wanted.checksum.partition(":")
    if not expected:
        return ""
    digest = hashlib.new(method, usedforsecurity=False)
    meter = wanted.meter("checking", path.stat().st_size)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            meter.advance(len(chunk))
    return f"{method}:{digest.hexdigest()[: len(expected)]}"

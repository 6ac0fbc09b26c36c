"""What lies below a folder: its images, and what is left out of them and why."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ood_core.errors import DataError
from ood_core.experiments.sources import is_hidden, is_image_name
from ood_core.runtime.names import shown

__all__ = [
    "ARCHIVE",
    "HIDDEN",
    "Entries",
    "LeftOut",
    "Listing",
    "class_folders",
    "folder_entries",
    "holds_image",
    "left_out_text",
    "list_folder",
    "what_instead",
    "why_no_image",
]

_Path = str | os.PathLike[str]


@dataclass(frozen=True, order=True)
class LeftOut:
    """One file or folder that is no image of the set.

    Parameters
    ----------
    path : relative, with forward slashes; a folder's ends in one.
    reason : what it is instead, short.
    lost : whether an image may be missing because of it, as with a link to nothing that is named
        like an image. What was never one (a hidden file, a text) is not lost.
    """

    path: str
    reason: str
    lost: bool = False

    def __str__(self) -> str:
        return f"{shown(self.path)}: left out ({self.reason})."


@dataclass(frozen=True)
class Listing:
    """Images below a folder or in an archive, sorted, and all the rest, sorted."""

    images: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Entries:
    """What lies directly in a folder, by name.

    Parameters
    ----------
    images : regular files with an image's name.
    folders, links : folders, and links to folders.
    others : regular files with other names.
    odd : what is hidden, or neither file nor folder.
    """

    images: tuple[str, ...]
    folders: tuple[str, ...]
    links: tuple[str, ...]
    others: tuple[str, ...]
    odd: tuple[LeftOut, ...]


HIDDEN = "hidden"
ARCHIVE = "archive, which is not looked into"
_UNREAD_FORMAT = "in a format that the installed Pillow does not read"
_NO_IMAGES = "folder without images"
_UNREAD = frozenset(
    (
        ".heic", ".heif", ".hif", ".avif", ".webp", ".jxl", ".jp2", ".j2k", ".jpx", ".svg", ".svgz",
        ".eps", ".exr", ".hdr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf",
        ".dcm", ".jls", ".wmf", ".emf",
    )
)  # fmt: skip
"""Names of images that Pillow may be unable to read: a photograph in one of them is missed."""
_ARCHIVES = frozenset(
    (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tbz2", ".txz")
)


def list_folder(folder: _Path) -> Listing:
    """All images below a folder, at any depth, and what is left out.

    An image is a regular file, or a link to one, with a name that the installed Pillow can decode.
    Left out are hidden files and folders, other names, links to nothing or back to a folder
    above, FIFOs, sockets, devices, and folders that cannot be read or hold no image.

    Raises
    ------
    DataError
        When the folder itself cannot be read.
    """
    images: list[str] = []
    left_out: list[LeftOut] = []
    empty: set[str] = set()
    for prefix, found, refused in _walk(folder):
        images += [prefix + name for name in found.images]
        left_out += [LeftOut(prefix + o.path, o.reason, o.lost) for o in (*found.odd, *refused)]
        for name in found.others:
            reason, lost = why_no_image(name)
            left_out.append(LeftOut(prefix + name, reason, lost))
        if not prefix:
            empty = {f"{name}/" for name in (*found.folders, *found.links)}
    empty -= {path[: path.index("/") + 1] for path in images if "/" in path}
    empty -= {out.path for out in left_out}
    left_out += [LeftOut(name, _NO_IMAGES) for name in empty]
    return Listing(tuple(sorted(images)), tuple(sorted(left_out)))


def holds_image(folder: _Path) -> bool:
    """Whether there is an image anywhere below the folder; stops at the first.

    Raises
    ------
    DataError
        When the folder cannot be read.
    """
    return any(found.images for _, found, _ in _walk(folder))


def class_folders(folder: _Path) -> tuple[str, ...]:
    """Sorted names of the direct subfolders, as far as `list_folder` looks into them.

    Raises
    ------
    DataError
        When the folder cannot be read.
    """
    _, found, refused = next(_walk(folder))
    back = {out.path.removesuffix("/") for out in refused}
    return tuple(sorted(n for n in (*found.folders, *found.links) if n not in back))


def why_no_image(name: str) -> tuple[str, bool]:
    """Why a file that has no image's name is left out, and whether that may lose an image."""
    if is_hidden(name):
        return HIDDEN, False
    end = name[name.rfind(".") :].lower()
    if end in _ARCHIVES:
        return ARCHIVE, False
    if end in _UNREAD:
        return _UNREAD_FORMAT, True
    return "not an image by name", False


def left_out_text(left_out: Iterable[LeftOut], names: int = 3) -> str:
    """`Left out: 2 hidden (.a.png, .b.png), 1 link to nothing (c.png).`; "" for nothing.

    Parameters
    ----------
    left_out : what is left out.
    names : how many of each reason are named.
    """
    by_reason: dict[str, list[str]] = {}
    for out in sorted(left_out, key=lambda out: not out.lost):
        by_reason.setdefault(out.reason, []).append(shown(out.path))
    parts = []
    for reason, paths in by_reason.items():
        more = ", …" if len(paths) > names else ""
        parts.append(f"{len(paths):,} {reason} ({', '.join(paths[:names])}{more})")
    return f"Left out: {', '.join(parts)}." if parts else ""


_Step = tuple[str, Entries, list[LeftOut]]


def _walk(folder: _Path) -> Iterator[_Step]:
    """(prefix, entries, refused) of each folder: `refused` are subfolders not to look into.

    A link is not followed where that would come back to a folder on the way to it. Two links to
    one folder are both followed: that may be meant. Folders that link to each other crosswise give
    as many ways as they have orders, so those are bounded.
    """
    ways = 0
    stack: list[tuple[str, str, tuple[str, ...]]] = [(os.fspath(folder), "", ())]
    while stack:
        path, prefix, came = stack.pop()
        refused: list[LeftOut] = []
        try:
            found = folder_entries(path)
        except OSError as error:
            if not prefix:
                raise DataError(f"{path!r} cannot be read ({error.strerror}).") from error
            why = f"folder that cannot be read ({error.strerror})"
            yield "", _NOTHING, [LeftOut(prefix, why, True)]
            continue
        stack += [(os.path.join(path, n), f"{prefix}{n}/", came) for n in found.folders]
        here = (*came, os.path.realpath(path)) if found.links else came
        for name in found.links:
            target = os.path.realpath(os.path.join(path, name))
            if leads_above(target, here):
                refused.append(LeftOut(f"{name}/", "link back to a folder above"))
                continue
            stack.append((target, f"{prefix}{name}/", here))
            ways += bool(came)
        if ways > _MOST_WAYS:
            raise DataError(
                f"{os.fspath(folder)!r}: links between its folders lead through them in more than "
                f"{_MOST_WAYS:,} ways. Remove links that lead from one linked folder to another."
            )
        yield prefix, found, refused


def leads_above(target: str, came: Iterable[str]) -> bool:
    """Whether a link's target is, or lies above, one of the folders on the way to the link."""
    return any(p == target or p.startswith(os.path.join(target, "")) for p in came)


_MOST_WAYS = 5_000
_NOTHING = Entries((), (), (), (), ())
_LISTED: dict[str, tuple[tuple[int, int, int], Entries]] = {}
_MOST_LISTED = 1_000_000


def folder_entries(path: _Path) -> Entries:
    """What lies directly in a folder; read again when the folder changed.

    A folder that changed in the last two seconds is not remembered: another change could carry
    the same time. Nor is one with links, whose targets change without it.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    path = os.fspath(path)
    stat = os.stat(path)
    changed = stat.st_mtime_ns
    folder = changed, stat.st_dev, stat.st_ino  # a path may come to lead to another folder
    known = _LISTED.get(path)
    if known is not None and known[0] == folder:
        return known[1]
    with os.scandir(path) as entries:
        found, links = _sorted_out(entries)
    if not links and time.time_ns() - changed > 2_000_000_000:
        held = sum(len(e.images) + len(e.others) for _, e in list(_LISTED.values()))
        if held + len(found.images) + len(found.others) > _MOST_LISTED:
            _LISTED.clear()
        _LISTED[path] = (folder, found)
    return found


def _sorted_out(entries: Iterable[os.DirEntry[str]]) -> tuple[Entries, bool]:
    """The entries by what they are, and whether there are links among them."""
    by_kind: dict[str, list[str]] = {kind: [] for kind in ("image", "folder", "link", "other")}
    odd, any_link = [], False
    for entry in entries:
        name, link = entry.name, entry.is_symlink()
        any_link = any_link or link
        try:
            folder, file = entry.is_dir(), entry.is_file()
        except OSError:  # a link to itself, or through a folder that cannot be entered
            folder = file = False
        if is_hidden(name):
            odd.append(LeftOut(f"{name}/" if folder else name, HIDDEN))
        elif folder:
            by_kind["link" if link else "folder"].append(name)
        elif file:
            by_kind["image" if is_image_name(name) else "other"].append(name)
        else:
            # A link to nothing without an ending may have led to a folder of images.
            lost = is_image_name(name) or (link and "." not in name)
            odd.append(LeftOut(name, _unusual(entry), lost))
    images, folders, links, others = map(tuple, by_kind.values())
    return Entries(images, folders, links, others, tuple(odd)), any_link


def _unusual(entry: os.DirEntry[str]) -> str:
    """What something is that is neither a file nor a folder."""
    try:
        return what_instead(entry.stat().st_mode)
    except OSError:
        return "link to nothing"


def what_instead(mode: int) -> str:
    """What `st_mode` says that is no regular file."""
    kinds = {
        stat.S_IFDIR: "folder", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFLNK: "symbolic link",
    }  # fmt: skip
    return f"{kinds.get(stat.S_IFMT(mode), 'special file')}, not a file"

"""The text of an image list or table: unpacked, decoded, cut into lines as editors cut them."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ood_core.data.archive import MAX_MEMBER_BYTES, open_zip, read_member
from ood_core.errors import DataError
from ood_core.experiments import DataSpec
from ood_core.experiments.sources import is_hidden, list_suffix

__all__ = ["ListFile", "list_lines", "list_text", "short"]

_UNPACKERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
"""First bytes of a packed file -> what opens it; names may say otherwise."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks and what they announce. That of UTF-16 begins that of UTF-32: longest first."""

_NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_SHOWN = 200


@dataclass(frozen=True)
class ListFile:
    """A list or table, and the data set that it is read for.

    Parameters
    ----------
    path : the file.
    spec : the data set; its options say what labels may mean.
    most : bytes of its text to read, where its beginning is enough; of Parquet tables the first
        row group is read then.
    """

    path: Path
    spec: DataSpec
    most: int | None = None

    def error(self, text: str) -> DataError:
        """Error that begins with the data set; `{}` in `text` stands for the file."""
        return DataError(
            f"data set {self.spec.name!r}: {text.replace('{}', repr(str(self.path)), 1)}"
        )

    @property
    def noun(self) -> str:
        """What messages call it."""
        return "manifest" if self.spec.kind == "manifest" else "list"

    @property
    def suffix(self) -> str:
        """Suffix of the list itself: `.csv` of `a.csv` and of `a.csv.gz`."""
        return list_suffix(self.path.name)

    @property
    def labels_matter(self) -> bool:
        """Whether labels are class numbers or names; those of an OOD set only group images."""
        options = self.spec.options
        return options.get("role") != "ood" and options.get("labels") != "none"

    @property
    def label_map(self) -> dict[str, Any]:
        """What labels mean, by label."""
        return dict(self.spec.options.get("label_map") or {})


def short(value: object) -> str:
    """`repr` of a value for a message, cut where it is very long."""
    text = str(value) if isinstance(value, list | dict) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"


def list_lines(text: str) -> io.StringIO:
    r"""Lines of a text, which end with \n, \r\n or \r and with nothing else.

    `str.splitlines` also splits at form feeds, U+0085 and U+2028, which names of files may hold.
    Line ends stay as they are, so that quoted ones reach `csv`.

    >>> list(list_lines("a\x0cb\rc\r\nd"))
    ['a\x0cb\r', 'c\r\n', 'd']
    """
    return io.StringIO(text, newline="")


def list_text(file: ListFile) -> str:
    """Text of a list: plain or packed as gzip, bzip2, xz or a zip of one file.

    UTF-8, what a byte order mark says (PowerShell's `>` writes UTF-16), else Windows-1252 or
    Latin-1, in which every byte means something: wrong letters in a name then show in the
    message that the image is not there. Of a file that is cut off only whole lines are given.

    Raises
    ------
    DataError
        When the file cannot be read or unpacked, or is no text.
    """
    data = _unpacked(file)
    cut = file.most is not None and len(data) > file.most
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    text = _decoded(data[: file.most], encoding, cut)
    if text is None:
        raise file.error(
            "{} is not text in UTF-8, UTF-16 with a byte order mark or Latin-1, so it is no list "
            "of images."
        )
    if "\0" in text:
        raise _with_nul(file, text)
    return text[: max(text.rfind("\n"), text.rfind("\r")) + 1] if cut else text


def _decoded(data: bytes, encoding: str | None, cut: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding or "utf-8")().decode(data, not cut)
    except UnicodeDecodeError:
        if encoding or _NO_TEXT.search(data):
            return None
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _with_nul(file: ListFile, text: str) -> DataError:
    if text.count("\0") * 3 >= len(text):
        return file.error(
            "{} is not text in UTF-8; it looks like UTF-16 without a byte order mark. Save it as "
            "UTF-8."
        )
    number = next(n for n, line in enumerate(list_lines(text), 1) if "\0" in line)
    return file.error(f"line {number} of {{}} holds a NUL byte, so it is no list of images.")


def _unpacked(file: ListFile) -> bytes:
    try:
        with open(file.path, "rb") as stream:
            head = stream.read(8)
        if head.startswith(b"PK\x03\x04"):
            return _only_member(file)
        unpack = next((o for magic, o in _UNPACKERS.items() if head.startswith(magic)), None)
        with unpack(file.path) if unpack else open(file.path, "rb") as stream:
            data = stream.read((MAX_MEMBER_BYTES if file.most is None else file.most) + 1)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise file.error(f"{{}} cannot be unpacked ({error}).") from error
    except OSError as error:
        # Damaged gzip and bzip2 files raise OSErrors without a number.
        what = "read" if error.errno else "unpacked"
        raise file.error(f"{{}} cannot be {what} ({error.strerror or error}).") from error
    if len(data) > MAX_MEMBER_BYTES:
        raise file.error(f"{{}} holds more than {MAX_MEMBER_BYTES:,} bytes; split the list.")
    return data


def _only_member(file: ListFile) -> bytes:
    shown = f"data set {file.spec.name!r}: {file.path}"
    with open_zip(file.path, shown) as archive:
        members = [
            info
            for info in archive.infolist()
            if not info.is_dir() and not any(map(is_hidden, info.filename.split("/")))
        ]
        names = [info.filename for info in members]
        if len(names) != 1:
            some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            raise file.error(
                f"{{}} holds {len(names)} files ({some}), so it is not one list; unpack it and "
                "name the list. For a zip of images write zip = …"
            )
        return read_member(archive, members[0], f"{shown}/{names[0]}")

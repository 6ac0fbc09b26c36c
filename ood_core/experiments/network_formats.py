"""Files and folders that hold a whole network: told by content, without any framework."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from ood_core.experiments.model_folders import model_folder

__all__ = ["NETWORK_FORMATS", "archive_names", "is_onnx", "network_format"]

NETWORK_FORMATS = ("torch.export", "torchscript", "onnx", "huggingface")
"""Values of `architecture` for a `checkpoint` that says itself which network it is."""

_HEAD = 64


def network_format(path: Path) -> str | None:
    """Which of NETWORK_FORMATS a file or folder is; None for weights alone or nothing.

    Raises
    ------
    ConfigError
        As `model_folder`.
    """
    if os.path.isdir(path):
        return "huggingface" if model_folder(path) else None
    try:
        with open(path, "rb") as file:
            start = file.read(_HEAD)
    except (OSError, ValueError):  # not there, or what is no path
        return None
    if start.startswith(b"PK\x03\x04"):
        return _of_zip(path)
    return "onnx" if is_onnx(path.name, start) else None


def is_onnx(name: str, start: bytes) -> bool:
    """Whether a file begins as ONNX does: a protobuf with `ir_version`, a text or the graph."""
    named = name.lower().endswith(".onnx") and start[:1] in (b"\x08", b"\x12", b"\x3a")
    begins = start[:1] == b"\x08" and 1 <= start[1] <= 32 if len(start) > 2 else False
    return named or (begins and start[2] in (0x12, 0x3A, 0x42))


def archive_names(path: Path) -> list[str]:
    """Names of the files in a zip archive.

    Raises
    ------
    zipfile.BadZipFile
        Also where its own end is missing, and that of another archive inside it was found.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if members and min(member.header_offset for member in members) > 0:
        raise zipfile.BadZipFile("the end of the archive is missing")
    return [member.filename for member in members]


def _of_zip(path: Path) -> str | None:
    try:
        names = archive_names(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    inner = {name.partition("/")[2] for name in names}
    if {"constants.pkl", "bytecode.pkl"} & inner or any(n.startswith("code/") for n in inner):
        return "torchscript"
    exported = {"archive_format", "models/model.json"} & inner
    return "torch.export" if exported or "serialized_exported_program.json" in names else None

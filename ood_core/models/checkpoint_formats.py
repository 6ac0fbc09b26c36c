"""What a checkpoint file is, told by its content: names and suffixes are often others."""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path
from typing import Literal

from ood_core.errors import ModelError
from ood_core.experiments.checkpoint_folders import what_to_name
from ood_core.experiments.network_formats import archive_names, is_onnx, network_format
from ood_core.models.checkpoint_shards import is_index
from ood_core.models.pickled_networks import how_to_convert

__all__ = ["Format", "checkpoint_format", "cut_off"]

Format = Literal["torch zip", "torch", "safetensors", "index", "npz"]
"""Formats that are read: `torch.save`'s, the one from before PyTorch 1.6, and the others."""

_START = 512
_TORCH_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")
_SAVE = "torch.save(model.state_dict(), path)"
_WHOLE = {"torchscript": "a TorchScript archive", "torch.export": "a torch.export program"}
_WEIGHTS_OF = {
    "torchscript": "torch.save(torch.jit.load({!r}).state_dict(), 'weights.pth')",
    "torch.export": "torch.save(torch.export.load({!r}).state_dict, 'weights.pth')",
}
_PACKED = {
    b"\x1f\x8b": ("gzip", "gzip -dc"),
    b"BZh": ("bzip2", "bzip2 -dc"),
    b"\xfd7zXZ\x00": ("xz", "xz -dc"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -dc"),
    b"7z\xbc\xaf\x27\x1c": ("7-Zip", ""),
    b"Rar!": ("RAR", ""),
}
_OTHERS = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GGUF": "a GGUF file, which holds quantised weights",
    b"ggml": "a GGML file, which holds quantised weights",
    b"\x93NUMPY": "one NumPy array without a name",
}
_TEXT_PAGES = (b"<!doctype", b"<html", b"<head", b"<body")


def checkpoint_format(path: Path) -> Format:
    """Format of a file that can be read as a checkpoint. Imports no torch.

    Raises
    ------
    ModelError
        For every other file, with what it is and what to do.
    """
    if os.path.isdir(path):  # False also of what is no path
        raise ModelError(f"{path} is a folder; {what_to_name(path)}")
    try:
        with open(path, "rb") as file:
            start = file.read(_START)
            size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"cannot read checkpoint {path}: {error.strerror}.") from error
    except ValueError as error:
        raise ModelError(f"cannot read checkpoint {str(path)!r}: {error}.") from error
    if not start:
        raise ModelError(f"{path.name} is empty (0 bytes): copy or download it again.")
    if start.startswith(b"version https://git-lfs"):
        raise ModelError(f"{path.name} is a Git LFS pointer, not a checkpoint: run `git lfs pull`.")
    if start.startswith(b"PK\x03\x04"):
        return _of_zip(path)
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _of_pickle(path, start)
    if _is_safetensors(start):
        if 8 + int.from_bytes(start[:8], "little") > size:
            raise cut_off(path, "safetensors file")
        return "safetensors"
    if is_index(path):
        return "index"
    raise ModelError(f"{path.name} is {_other(path, start)}")


def cut_off(path: Path, what: str = "PyTorch checkpoint") -> ModelError:
    """The error for a file whose end is missing, or whose content is damaged."""
    return ModelError(
        f"{path.name} is not a complete {what} ({path.stat().st_size:,} bytes): it was cut off or "
        "damaged on its way. Copy or download it again."
    )


def _of_zip(path: Path) -> Format:
    try:
        names = [name for name in archive_names(path) if not name.endswith("/")]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise cut_off(path) from error
    inner = {name.partition("/")[2] for name in names}
    whole = network_format(path)
    if whole in _WHOLE:
        raise ModelError(
            f"{path.name} is {_WHOLE[whole]}, which holds the whole network and not only weights. "
            "Leave architecture out (new: no --architecture) and it is opened as it is, or save "
            f"its weights alone: {_WEIGHTS_OF[whole].format(path.name)}."
        )
    if "data.pkl" in inner:
        return "torch zip"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    if any(name.endswith(".data/extern_modules") for name in names):
        raise ModelError(f"{path.name} is a torch.package archive of code. Save {_SAVE}.")
    if "model.weights.h5" in names:
        raise ModelError(_foreign(path, "a Keras archive"))
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    raise ModelError(
        f"{path.name} is a zip archive of {len(names)} files ({shown}), not a checkpoint. Unpack "
        "it and name the checkpoint in it."
    )


def _of_pickle(path: Path, start: bytes) -> Format:
    if _TORCH_MAGIC in start[:32]:
        return "torch"
    if whole := how_to_convert(path):
        raise ModelError(f"{path.name} {whole}")
    raise ModelError(
        f"{path.name} is a pickle that torch.save did not write; such files can run code when "
        f"loaded, so it was not loaded. Save the weights alone: {_SAVE}."
    )


def _is_safetensors(start: bytes) -> bool:
    """Eight bytes with the length of a JSON header, and its first byte."""
    return start[8:9] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= 100_000_000


def _other(path: Path, start: bytes) -> str:
    """What a file is that is no checkpoint, and what to do, to follow "NAME is"."""
    for magic, (name, command) in _PACKED.items():
        if start.startswith(magic):
            how = f": {command} {path.name} > unpacked-{path.stem}" if command else ""
            return f"compressed ({name}). Unpack it first{how}."
    for magic, name in _OTHERS.items():
        if start.startswith(magic):
            return _what_to_save(name)
    if start[4:8] == b"TFL3":
        return _what_to_save("a TensorFlow Lite file")
    if start[257:262] == b"ustar":
        return (
            "a tar archive, not a checkpoint. Unpack it (tar -xf) and name the checkpoint in it; "
            f"where PyTorch before 0.2 wrote it, load it there and save {_SAVE} with a newer one."
        )
    if is_onnx(path.name, start):
        return (
            "an ONNX file, which holds the whole network and not the weights of another one: "
            "leave architecture out. For its weights alone, save those of the PyTorch network: "
            f"{_SAVE}."
        )
    if not start.strip(b"\x00"):
        return "not complete: it begins with zeros, as interrupted downloads do. Download it again."
    return _text(path, start) or _binary(start)


def _text(path: Path, start: bytes) -> str:
    """What a text file is; "" where it is none."""
    plain = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    try:
        text = plain[:-3].decode("utf-8") if len(plain) > 400 else plain.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    if any(ord(c) < 32 and c not in "\t\r\n" for c in text):
        return ""
    if plain.lower().startswith(_TEXT_PAGES):
        return (
            "a web page (HTML), not a checkpoint: the address leads to a page about the file. "
            "Download the file itself (GitHub: Raw; Hugging Face: /resolve/ in place of /blob/)."
        )
    line = text.splitlines()[0][:60] if text.splitlines() else ""
    if plain.startswith(b"{"):
        return (
            f"a JSON text ({line!r}), not a checkpoint and no index of one. {_beside(path)}"
        ).strip()
    return (
        f"a text file that begins with {line!r}, not a checkpoint. Download or name the right one."
    )


def _beside(path: Path) -> str:
    return f"In its folder: {what_to_name(path.parent)}" if path.name == "config.json" else ""


def _binary(start: bytes) -> str:
    if (0x81 <= start[0] <= 0x8F or start[0] in (0xDE, 0xDF)) and start[1:].strip():
        return _what_to_save("no PyTorch checkpoint; it may be Flax's (msgpack)")
    return _what_to_save(
        f"no checkpoint of a known format: it begins with the bytes {start[:8].hex(' ')}"
    )


def _what_to_save(name: str) -> str:
    return f"{name}. Save the weights of the PyTorch network: {_SAVE}, or safetensors."


def _foreign(path: Path, name: str) -> str:
    return f"{path.name} is {_what_to_save(name)}"

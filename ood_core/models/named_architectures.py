"""Architectures that a checkpoint file names: in it, in the file beside it, in its own name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

__all__ = ["named_in_path", "names_written"]

_KEYS = (
    "architecture", "arch", "model_arch", "model_name", "architecture_name", "model", "net",
    "network", "backbone", "name", "model_id",
)  # fmt: skip
_INNER = ("args", "hyper_parameters", "hparams", "config", "cfg", "opt", "model", "pretrained_cfg")
_CONFIG_BYTES = 1_000_000


def names_written(path: Path, content: Any) -> list[str]:
    """Names of networks that a checkpoint states: its own values, its metadata, `config.json`.

    A `config.json` of timm's says so: those names begin with "timm:".

    Parameters
    ----------
    path : of the checkpoint file.
    content : what was read from it.
    """
    config = _config(path)
    timm = "timm:" if isinstance(config, Mapping) and "pretrained_cfg" in config else ""
    found = [f"{timm}{_plain(name)}" for name in _strings(config, 2)]
    found += [_plain(name) for held in (content, _metadata(path)) for name in _strings(held, 2)]
    return list(dict.fromkeys(found))


def named_in_path(path: Path, known: Sequence[str]) -> list[str]:
    """Those of the known names that a file's name or its folders' holds, the longest first.

    >>> named_in_path(Path("runs/resnet50_best.pt"), ["resnet50", "resnet5", "vgg16"])
    ['resnet50']
    """
    parts = [_words(path.stem), *(_words(p) for p in reversed(path.parent.parts[-2:]))]
    for part in parts:
        held = [name for name in known if f"_{_words(name)}_" in f"_{part}_" and len(name) > 3]
        if held:
            return sorted(held, key=lambda name: (-len(name), name))
    return []


def _strings(content: Any, depth: int) -> Iterator[str]:
    """Values of the keys that training scripts keep a network's name in."""
    values = content if isinstance(content, Mapping) else getattr(content, "__dict__", None)
    if not isinstance(values, Mapping):
        return
    for key in _KEYS:
        value = values.get(key)
        if isinstance(value, str) and 2 < len(value) < 100:
            yield value
    for key in _INNER if depth else ():
        yield from _strings(values.get(key), depth - 1)


def _metadata(path: Path) -> Mapping[str, str]:
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}


def _config(path: Path) -> Any:
    """`config.json` beside the weights, as Hugging Face's hub has them for timm's networks."""
    file = path.parent / "config.json"
    try:
        if file.stat().st_size > _CONFIG_BYTES:
            return {}
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _plain(name: str) -> str:
    """`hf_hub:timm/resnet50.a1_in1k` -> `resnet50`: the architecture without its weights' tag."""
    return name.rpartition("/")[2].rpartition(":")[2].partition(".")[0].strip()


def _words(text: str) -> str:
    return re.sub(r"[\W_]+", "_", text.lower()).strip("_")

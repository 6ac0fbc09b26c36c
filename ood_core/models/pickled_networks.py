"""Whole networks in pickles (`torch.save(model, path)`): named without running anything in them.

A pickle calls what it names. Here every name stands for an inert stand-in, so that its structure
can be read: where in the file a network is, and of which class.
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from _compat_pickle import IMPORT_MAPPING
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["PickledNetwork", "how_to_convert", "pickled_networks"]

LARGEST = 64_000_000
"""Bytes of a pickle that are read, tensors' values aside."""
DEPTH = 4

_TORCH_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")
_HARMLESS = frozenset((
    "collections", "functools", "argparse", "datetime", "pathlib", "copyreg", "_codecs", "enum",
    "numbers", "decimal", "fractions", "typing", "dataclasses", "uuid", "random", "logging", "abc",
    "types", "math", "operator",
))  # fmt: skip
"""Standard modules that networks and their settings are made of."""
_BUILTINS = frozenset((
    "set", "frozenset", "list", "dict", "tuple", "int", "float", "bool", "str", "bytes",
    "bytearray", "complex", "slice", "object", "range", "type",
))  # fmt: skip
_WRAPPERS = ("module", "_orig_mod")
"""Names under which DataParallel and torch.compile keep the network."""


@dataclass(frozen=True)
class PickledNetwork:
    """A network in a pickle: the keys that lead to it, its class, and the wrappers round it."""

    keys: tuple[str | int, ...]
    module: str
    name: str
    inside: tuple[str, ...] = ()


class _Stub:
    """Stands for an object of a class that is not imported."""

    named = ("", "")

    def __new__(cls, *args: Any, **kwargs: Any) -> _Stub:
        stub = object.__new__(cls)
        stub.state, stub.items = {}, {}
        return stub

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.state: Any
        self.items: dict[Any, Any]

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *args: Any, **kwargs: Any) -> _Stub:
        """What a method of it would return."""
        return _Stub()

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def append(self, value: Any) -> None:
        """As of a list; what is in it is not looked for."""

    add = append


class _Reader(pickle.Unpickler):
    """Builds stand-ins for every name in a pickle, and keeps the names."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.names: set[tuple[str, str]] = set()

    def find_class(self, module: str, name: str) -> Any:
        """A class of its own for every name; nothing is imported."""
        module = IMPORT_MAPPING.get(module, module)  # as Python 2 called it, before protocol 3
        if (module, name) in (("builtins", "getattr"), ("__builtin__", "getattr")):
            return self._attribute
        self.names.add((module, name))
        return type("_Named", (_Stub,), {"named": (module, name)})

    def _attribute(self, owner: Any, name: str, *default: Any) -> Any:
        """What getattr stands for: a class inside another, a method of a network."""
        module, outer = getattr(owner, "named", ("", ""))
        if not module or _of_python(module) or not isinstance(name, str):
            self.names.add(("builtins", "getattr"))
            return _Stub()
        return self.find_class(module, f"{outer}.{name}")

    def persistent_load(self, identity: Any) -> Any:
        """A tensor's storage; before PyTorch 1.6 also a class, with its source text."""
        is_class = isinstance(identity, tuple) and identity[:1] == ("module",)
        return identity[1] if is_class and len(identity) > 1 else _Stub()


def pickled_networks(path: Path) -> tuple[tuple[PickledNetwork, ...], tuple[str, ...]]:
    """Networks in a file, and names in it that no network needs, such as "os.system".

    Nothing is found in a file that is no pickle or damaged.
    """
    try:
        content, names = _read(path)
    except Exception:  # noqa: BLE001 - a damaged or hostile pickle can fail anywhere
        return (), ()
    suspect = sorted(f"{m}.{n}" for m, n in names if _is_suspect(m, n))
    return tuple(_networks(content, (), 0)), tuple(suspect)


def how_to_convert(path: Path) -> str:
    """What a file with a whole network holds and the lines that convert it, to follow the file's
    name; "" where it holds none."""
    networks, suspect = pickled_networks(path)
    if not networks:
        return ""
    found = networks[0]
    named = f"{found.module}.{found.name}"
    head = (
        f"holds pickled Python objects (a whole network, {_readable(named)}), which can run code "
        "when loaded, so it was not loaded."
    )
    if suspect:
        return (
            f"{head} It also names {', '.join(map(_readable, suspect[:3]))}, which no network "
            "needs: do not load it. Ask for the weights alone, model.state_dict()."
        )
    if not all(part.isidentifier() for part in named.split(".")):
        return f"{head} Save the weights alone: torch.save(model.state_dict(), path)."
    return f"{head} Save the weights alone. {_lines(path, found)}"


def _lines(path: Path, found: PickledNetwork) -> str:
    stem = path.stem if path.stem.isprintable() else "model"
    keys = "".join(f"[{key!r}]" for key in found.keys) + "".join(f".{n}" for n in found.inside)
    load = (
        f"torch.load({path.name!r}, map_location='cpu', weights_only=False)"
        if _of_torch(path)
        else f"pickle.load(open({path.name!r}, 'rb'))"
    )
    first = "import torch" if _of_torch(path) else "import pickle, torch"
    weights = f"{stem}-weights.pt"
    own = found.module == "__main__"
    outer = found.name.partition(".")[0]
    before = (
        f" (after: from YOUR_FILE import {outer}, for it was saved by the program that defines it)"
        if own
        else ""
    )
    return (
        f"Only if you trust the file, because the second line runs it, in Python{before}:\n"
        f"    {first}\n    model = {load}{keys}\n"
        f"    torch.save(model.state_dict(), {weights!r})\n"
        f'Then write checkpoint = "{weights}" and {_architecture(found)} Or, for a file that '
        "needs none of its code, in place of the third line, with the shape of your images:\n"
        "    torch.export.save(torch.export.export(model.eval(), (torch.zeros(2, 3, 224, 224),), "
        f"dynamic_shapes=({{0: torch.export.Dim('n')}},)), {f'{stem}.pt2'!r})\n"
        f'and checkpoint = "{stem}.pt2" alone.'
    )


def _architecture(found: PickledNetwork) -> str:
    """Which architecture line belongs to the weights."""
    top = found.module.partition(".")[0]
    if top in ("torchvision", "timm"):
        return (
            f'architecture = "{top}:NAME", the name that you made it by; it may be left to be '
            "found."
        )
    if top == "torch":
        return (
            'architecture = "YOUR_FILE.py:FUNCTION", a function of your own that builds the '
            f'torch.nn.{found.name}, and trust = "run this code".'
        )
    if "." in found.name:
        return (
            'architecture = "YOUR_FILE.py:FUNCTION", a function of your own that builds the '
            f'{found.module}.{found.name}, and trust = "run this code".'
        )
    where = "YOUR_FILE.py" if top == "__main__" else found.module
    return f'architecture = "{where}:{found.name}" with trust = "run this code".'


def _read(path: Path) -> tuple[Any, set[tuple[str, str]]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            (entry,) = (i for i in archive.infolist() if i.filename.endswith("/data.pkl"))
            if entry.file_size > LARGEST:
                return None, set()
            reader = _Reader(io.BytesIO(archive.read(entry)))
        return reader.load(), reader.names
    with open(path, "rb") as file:
        reader = _Reader(file)
        if _of_torch(path):  # three values stand before it: magic number, version, system
            for _ in range(3):
                _Reader(file).load()
        elif path.stat().st_size > 20 * LARGEST:
            return None, set()
        return reader.load(), reader.names


def _of_torch(path: Path) -> bool:
    if zipfile.is_zipfile(path):
        return True
    with open(path, "rb") as file:
        return _TORCH_MAGIC in file.read(32)


def _networks(value: Any, keys: tuple[str | int, ...], depth: int) -> Iterator[PickledNetwork]:
    """Networks at or below a value, the outermost ones."""
    if depth > DEPTH:
        return
    if isinstance(value, _Stub) and _is_network(value):
        yield _unwrapped(value, keys)
        return
    inner: Any = value.items if isinstance(value, _Stub) else value
    if isinstance(inner, Mapping):
        pairs = list(inner.items())
    else:
        pairs = list(enumerate(inner)) if isinstance(inner, list | tuple) else []
    for key, held in pairs:
        if isinstance(key, str | int):
            yield from _networks(held, (*keys, key), depth + 1)


def _is_network(stub: _Stub) -> bool:
    """Whether its state is that of an nn.Module."""
    return isinstance(stub.state, Mapping) and {"_modules", "_parameters"} <= set(stub.state)


def _unwrapped(stub: _Stub, keys: tuple[str | int, ...]) -> PickledNetwork:
    inside: tuple[str, ...] = ()
    while stub.named[0].startswith("torch.") and len(inside) < DEPTH:
        modules = stub.state["_modules"]
        modules = modules.items if isinstance(modules, _Stub) else modules
        name = next((n for n in _WRAPPERS if n in modules), None)
        if name is None or not (isinstance(modules[name], _Stub) and _is_network(modules[name])):
            break
        stub, inside = modules[name], (*inside, name)
    return PickledNetwork(keys, *stub.named, inside)


def _is_suspect(module: str, name: str) -> bool:
    """Whether a name is one of Python's own that neither networks nor settings are made of."""
    top = module.partition(".")[0]
    if top == "builtins":
        return name not in _BUILTINS
    outer, method, _ = name.partition(".")  # pathlib.Path.touch, os.system of torch.serialization
    if _of_python(module):
        return bool(method) or top not in _HARMLESS
    return bool(method) and outer in sys.stdlib_module_names


def _of_python(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def _readable(text: str) -> str:
    return text if text.isprintable() and len(text) < 100 else ascii(text[:100])

"""Which files a network of one's own consists of, and the hash of their content. Runs nothing."""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import os
import sys
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from pathlib import Path

from ood_core.errors import ModelError
from ood_core.experiments.own_code import own_code, searched_folders, spec_of
from ood_core.models.own_networks.code_imports import imported_modules

__all__ = ["Code", "CodeFile", "find_code", "plugin_code"]

MOST_FILES = 5000
MOST_BYTES = 20_000_000
"""Largest single file that is taken for a program somebody wrote."""


@dataclass(frozen=True)
class CodeFile:
    """One file: its dotted module name in the tree that it belongs to, the hash of its content,
    and the content where it will be run from here rather than imported as Python does."""

    module: str
    path: Path
    sha256: str
    source: bytes = field(default=b"", repr=False)

    @property
    def is_package(self) -> bool:
        """Whether it is a package's `__init__.py`."""
        return self.path.name == "__init__.py"


@dataclass(frozen=True)
class Code:
    """The Python that an architecture names.

    Attributes
    ----------
    name : class or function that makes the network.
    module : dotted name of the module that has it.
    path : that module's file.
    files : that file, its package, and what it imports beside it, as far as that is found.
    version : "NAME VERSION" of the distribution of an installed module; "" for a file, and for a
        module that Python finds without one, in the working folder, say: it is run as a file is.
    """

    name: str
    module: str
    path: Path
    files: tuple[CodeFile, ...]
    version: str = ""

    @property
    def installed(self) -> bool:
        """Whether it is imported as a module that Python finds, rather than read from a file."""
        return bool(self.version)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names and content of all files, and of the version: where they lie is not
        part of it."""
        found = hashlib.sha256(f"{self.version}\n".encode())
        for file in sorted(self.files, key=lambda f: (f.module, f.is_package)):
            found.update(f"{file.module} {file.sha256}\n".encode())
        return found.hexdigest()

    @property
    def target(self) -> str:
        """What of the content is called: `my_net:MyNet`."""
        return f"{self.module}:{self.name}"

    @property
    def label(self) -> str:
        """What messages call it: `my_net.py:MyNet`."""
        return self.target if self.installed else f"{self.path.name}:{self.name}"


def find_code(architecture: str) -> Code:
    """The files of "my_pkg.my_net:MyNet" or "/place/my_net.py:MyNet".

    Raises
    ------
    ModelError
        When there is no such module or file (with where it was looked for and what is like it), it
        cannot be read, or it belongs to Python itself.
    """
    where, is_file, name = own_code(architecture)
    return _of_file(Path(where), name) if is_file else _of_module(where, name)


def _of_file(path: Path, name: str) -> Code:
    if not os.path.isfile(path):
        raise ModelError(f"there is no Python file {str(path)!r} for {name!r}. {_like(path)}")
    folder, inner = path.parent, [path.stem]
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        inner.insert(0, folder.name)
        folder = folder.parent
    if path.name == "__init__.py":
        inner.pop()
    if not all(part.isidentifier() for part in inner):
        if len(inner) > 1:
            raise ModelError(f"{path}: {'.'.join(inner)!r} is no name of a module. Rename it.")
        inner = ["network"]  # a file alone may be called anything: my-net.py
    package = folder / inner[0]
    if (package / "__init__.py").is_file() and path.is_relative_to(package):
        start = tuple(_read(m, p) for m, p in _modules(package, inner[0]))
    else:
        start = (_read(".".join(inner), path),)
    folders = dict.fromkeys((folder, path.parent, path.parent.parent))
    return Code(name, ".".join(inner), path, _with_helpers(start, tuple(folders)))


def _with_helpers(start: tuple[CodeFile, ...], folders: tuple[Path, ...]) -> tuple[CodeFile, ...]:
    """The files and what they import from the folders beside, and what that imports."""
    found = {file.module: file for file in start}
    queue = list(start)
    while queue:
        file = queue.pop()
        for module in imported_modules(file.source, file.module, file.is_package):
            for new, path in _beside(module, folders):
                if new not in found:
                    _check_count(len(found))
                    found[new] = _read(new, path)
                    queue.append(found[new])
    return tuple(found.values())


def _beside(module: str, folders: tuple[Path, ...]) -> list[tuple[str, Path]]:
    """Files of an imported module that lies in one of the folders; none for an installed one."""
    relative = module.startswith(".")
    top, *inner = module.removeprefix(".").split(".")
    if not relative and _is_installed(top, folders):
        return []
    for folder in folders:
        place = folder / top
        if (place / "__init__.py").is_file():
            return _modules(place, top)
        if place.with_suffix(".py").is_file():
            return [(top, place.with_suffix(".py"))]
        for depth in range(len(inner), 0, -1):  # a folder without __init__.py
            deep = place.joinpath(*inner[:depth])
            dotted = ".".join((top, *inner[:depth]))
            if (deep / "__init__.py").is_file():
                return _modules(deep, dotted)
            if deep.with_suffix(".py").is_file():
                return [(dotted, deep.with_suffix(".py"))]
    return []


def _is_installed(top: str, folders: tuple[Path, ...]) -> bool:
    """Whether a name is Python's or an installed package's: those are never taken from beside.

    So a file `torch.py` beside a network does not stand in for torch.
    """
    if top in sys.stdlib_module_names:
        return True
    found = spec_of(top)
    own = {place for f in folders for place in (f / f"{top}.py", f / top / "__init__.py")}
    return found is not None and found[0] not in own


def _of_module(module: str, name: str) -> Code:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        raise ModelError(
            f"{module}:{name} belongs to Python itself, which has no networks. Name the module or "
            ".py file in which your network is defined."
        )
    found = spec_of(module)
    if found is None:
        raise ModelError(_no_module(module))
    path, package = found
    files = [(module, path)] if package is None else _modules(package, top)
    named = dict([*files, (module, path)])
    version = _version(top)
    if not version and path.suffix == ".py":  # in the working folder, say: nobody installed it
        start = tuple(_read(m, p) for m, p in named.items())
        above = path.parent if package is None else package.parent
        folders = dict.fromkeys((above, path.parent))
        return Code(name, module, path, _with_helpers(start, tuple(folders)))
    read = tuple(CodeFile(m, p, _file_hash(p)) for m, p in named.items())
    return Code(name, module, path, read, version or "module")


def plugin_code(module: str, name: str, distribution: str) -> Code:
    """The files of an installed package's architecture; a module that is not found has none."""
    try:
        return replace(_of_module(module, name), version=distribution)
    except ModelError:
        return Code(name, module, Path(), (), distribution)


def _no_module(module: str) -> str:
    top, _, inner = module.partition(".")
    places = [place for place in searched_folders() if os.path.isdir(place)]
    package = spec_of(top)
    if package is not None and package[1] is not None and inner:
        there = [m for m, _ in _modules(package[1], top)]
        near = difflib.get_close_matches(module, there, n=3)
        looked = str(package[1])
    else:
        names = {e.name.removesuffix(".py") for p in places for e in os.scandir(p)}
        near = difflib.get_close_matches(top, [n for n in names if n.isidentifier()], n=3)
        looked = ", ".join(places)
    hint = f" Is it {' or '.join(map(repr, near))}?" if near else ""
    return (
        f"there is no module {module!r}.{hint} Looked in {looked}, beside the experiment file and "
        'in the data folders. Install its package, or name its file: "nets/my_net.py:MyNet".'
    )


def _like(path: Path) -> str:
    there = [p.name for p in path.parent.glob("*.py")] if os.path.isdir(path.parent) else []
    near = difflib.get_close_matches(path.name, there, n=3) or sorted(there)[:3]
    return f"In its folder: {', '.join(near)}." if near else "Correct the path."


def _modules(package: Path, dotted: str) -> list[tuple[str, Path]]:
    """Every Python file of a package with its dotted name; hidden folders are none of it."""
    found: list[tuple[str, Path]] = []
    for folder, inner, names in os.walk(package):
        inner[:] = sorted(n for n in inner if n.isidentifier() and n != "__pycache__")
        parts = (dotted, *Path(folder).relative_to(package).parts)
        for name in sorted(names):
            stem, dot, end = name.rpartition(".")
            if dot and end == "py" and stem.isidentifier():
                _check_count(len(found))
                own = parts if stem == "__init__" else (*parts, stem)
                found.append((".".join(own), Path(folder) / name))
    return found


def _check_count(count: int) -> None:
    if count >= MOST_FILES:
        raise ModelError(
            f"the network's code has more than {MOST_FILES:,} files. Put the network into a file "
            "or package of its own."
        )


def _read(module: str, path: Path) -> CodeFile:
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise ModelError(f"{path} is no Python file of at most {MOST_BYTES:,} bytes.")
        source = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}.") from error
    return CodeFile(module, path, hashlib.sha256(source).hexdigest(), source)


def _file_hash(path: Path) -> str:
    try:
        status = path.stat()
        return _hash_of(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}.") from error


@lru_cache(maxsize=MOST_FILES)
def _hash_of(path: Path, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def _version(top: str) -> str:
    """Name and version of the distribution that brings a package; "" without one."""
    for name in _distributions().get(top, ()):
        return f"{name} {importlib.metadata.version(name)}"
    return ""

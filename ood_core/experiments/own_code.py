"""Architectures that are a user's own Python: how they are written. Nothing here imports them."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from ood_core.errors import ConfigError
from ood_core.experiments.sources import resolve

__all__ = ["TRUST", "is_own_code", "own_code", "resolved", "searched_folders", "spec_of"]

TRUST = "run this code"
"""Value of `trust` without which no code of one's own is run."""

_COLLECTIONS = ("torchvision", "timm")
"""What stands before the colon of architectures that are not one's own."""


def is_own_code(architecture: str) -> bool:
    """Whether an architecture names code: "my_pkg.my_net:MyNet", "nets/my_net.py:MyNet".

    >>> [is_own_code(a) for a in ("resnet20", "timm:vit", "nets/a.py:Net", "a.b:Net")]
    [False, False, True, True]
    """
    where, colon, _ = architecture.rpartition(":")
    return bool(colon) and architecture.partition(":")[0] not in _COLLECTIONS and bool(where)


def own_code(architecture: str) -> tuple[str, bool, str]:
    """Where the code is, whether that is a file's path, and the name in it.

    Raises
    ------
    ConfigError
        When it is neither "module:Name" nor "file.py:Name".

    >>> own_code("nets/my_net.py:MyNet"), own_code("my_pkg.my_net:MyNet")
    (('nets/my_net.py', True, 'MyNet'), ('my_pkg.my_net', False, 'MyNet'))
    """
    where, _, name = architecture.rpartition(":")
    is_file = where.endswith(".py") or "/" in where or "\\" in where
    if is_file and not where.endswith(".py"):
        raise ConfigError(
            f"architecture = {architecture!r}: {where!r} is no Python file. Name the .py file "
            'that defines the network: "nets/my_net.py:MyNet".'
        )
    dotted = all(part.isidentifier() for part in where.split("."))
    if not name.isidentifier() or not (is_file or dotted):
        raise ConfigError(
            f"architecture = {architecture!r} must be a built-in name, torchvision:NAME, "
            'timm:NAME, or your own code as "my_pkg.my_net:MyNet" or "nets/my_net.py:MyNet".'
        )
    if where == "__main__":
        raise ConfigError(
            f"architecture = {architecture!r}: __main__ is whichever program runs, and another one "
            f'here. Put {name} into a file of its own and write "my_net.py:{name}".'
        )
    return where, is_file, name


def resolved(architecture: str, beside: Path | None, strict: bool) -> str:
    """The architecture with its file's absolute path, where it names a file or one is meant.

    A module that is not installed is looked for as a file beside the experiment file and in the
    data roots: `my_pkg.my_net` is `my_pkg/my_net.py` there. One that Python finds only because it
    was started in the folder of the module is that file too, for any folder to start in.

    Raises
    ------
    ConfigError
        When a file is not there, with where it was looked for, or is a folder.
    """
    where, is_file, name = own_code(architecture)
    if not is_file:
        spec = spec_of(where)
        if spec is not None and spec[0].suffix == ".py" and _is_only_here(where):
            return f"{spec[0]}:{name}"
        if where.partition(".")[0] in sys.stdlib_module_names or spec is not None:
            return architecture
        inner = where.replace(".", "/")
        tried = (resolve(f"{inner}{end}", beside)[0] for end in (".py", "/__init__.py"))
        found = next((path for path in tried if path is not None), None)
        return architecture if found is None else f"{found}:{name}"
    path, places = resolve(where, beside)
    if path is None and strict:
        looked = ", ".join(str(p) for p in places)
        raise ConfigError(
            f"architecture = {architecture!r}: there is no file {where!r}. Looked at {looked}."
        )
    if path is not None and path.is_dir():
        raise ConfigError(f"architecture = {architecture!r}: {path} is a folder, no Python file.")
    return f"{path or where}:{name}"


def _is_only_here(module: str) -> bool:
    """Whether a module is found in the working folder, where `python -m` looks first, alone."""
    top = module.partition(".")[0]
    if not sys.path or sys.path[0] not in ("", str(Path.cwd())) or top in sys.stdlib_module_names:
        return False
    others = (getattr(f, "find_spec", None) for f in sys.meta_path if f is not PathFinder)
    found = (find(top, None) for find in others if find is not None)
    return PathFinder.find_spec(top, sys.path[1:]) is None and not any(found)


def searched_folders() -> tuple[str, ...]:
    """Folders in which Python looks for modules."""
    return tuple(entry or str(Path.cwd()) for entry in sys.path)


def spec_of(module: str) -> tuple[Path, Path | None] | None:
    """File of an importable module and its top package's folder (None for a module alone).

    Unlike `importlib.util.find_spec` it imports no package above the module.
    """
    top, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations is None:
        file = Path(spec.origin or "")
        return (file, None) if not inner and file.is_file() else None
    for folder in map(Path, spec.submodule_search_locations):
        place = folder.joinpath(*inner)
        compiled = sorted(place.parent.glob(f"{place.name}.*.so")) if inner else []
        for file in (place / "__init__.py", place.with_suffix(".py"), *compiled):
            if file.is_file() and (inner or file.parent == folder):
                return file, folder
    return None

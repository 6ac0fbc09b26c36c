"""Running agreed code: files under a module name of their own, from the very bytes agreed to.

A file's module is called after the hash of its content and its place, so that two files of one
name are two modules, and changed code is a new one. It is not looked for in `sys.path`: the import
statements of its files are answered from the hashed files first, all others as ever.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ood_core.errors import ModelError, StoppedError
from ood_core.experiments.own_code import spec_of
from ood_core.models.own_networks.code_files import Code, CodeFile

__all__ = ["guarded", "load_module", "module_prefix"]

logger = logging.getLogger("ood_core.models")

_PREFIX = "_ood_lens_"
_lock = threading.RLock()
_known: dict[str, dict[str, CodeFile]] = {}
"""Module prefix -> dotted name below it -> file."""
_imported: dict[str, str] = {}
"""Installed top package -> hash of its content when it was imported here."""


def module_prefix(code: Code) -> str:
    """What stands before the names of its modules: "" for an installed one."""
    place = f"{code.digest}\n{code.files[0].path}" if code.files else ""
    return "" if code.installed else f"{_PREFIX}{hashlib.sha256(place.encode()).hexdigest()[:32]}"


def load_module(code: Code) -> ModuleType:
    """The module that the code names, run at most once for its content. Call it `guarded`."""
    with _lock:
        if code.installed:
            return _installed(code)
        prefix = module_prefix(code)
        _known[prefix] = {file.module: file for file in code.files}
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())  # before folders are looked into
        try:
            return importlib.import_module(f"{prefix}.{code.module}")
        except BaseException:
            _forget(prefix)  # half-run modules must not be found the next time
            raise


def _installed(code: Code) -> ModuleType:
    top = code.module.partition(".")[0]
    if _imported.get(top, code.digest) != code.digest:
        _forget(top)
    importlib.invalidate_caches()
    module = importlib.import_module(code.module)
    _imported[top] = code.digest
    return module


def _forget(top: str) -> None:
    for name in [n for n in sys.modules if n == top or n.startswith(f"{top}.")]:
        del sys.modules[name]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules below the prefixes of agreed code, and nothing else."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's spec; packages without a file are those that hold one with."""
        prefix, _, inner = name.partition(".")
        files = _known.get(prefix)
        if files is None:
            return None
        file = files.get(inner)
        if file is not None:
            origin = str(file.path)
            spec = importlib.machinery.ModuleSpec(
                name, _Loader(file, prefix), origin=origin, is_package=file.is_package
            )
            spec.has_location = True
            return spec
        if not inner or any(known.startswith(f"{inner}.") for known in files):
            return importlib.machinery.ModuleSpec(name, None, is_package=True)
        return None


class _Loader(importlib.abc.InspectLoader):
    """Runs one file's bytes as they were hashed; nothing is written beside it."""

    def __init__(self, file: CodeFile, prefix: str) -> None:
        self._file, self._prefix = file, prefix

    def get_source(self, fullname: str) -> str:
        """The text, for `inspect` and tracebacks."""
        return importlib.util.decode_source(self._file.source)

    def is_package(self, fullname: str) -> bool:
        """Whether the file is an `__init__.py`."""
        return self._file.is_package

    def exec_module(self, module: ModuleType) -> None:
        """Run the file with import statements that know the files beside it."""
        code = compile(self._file.source, str(self._file.path), "exec", dont_inherit=True)
        module.__dict__["__builtins__"] = vars(builtins) | {"__import__": _importer(self._prefix)}
        exec(code, module.__dict__)


def _importer(prefix: str) -> Any:
    """`__import__` for the files of one network: a name that is one of theirs is theirs."""

    def own_import(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or not _is_own(top, _known.get(prefix, {})):
            return builtins.__import__(name, globals, locals, fromlist, level)
        found = builtins.__import__(f"{prefix}.{name}", globals, locals, fromlist, 0)
        return found if fromlist else sys.modules[f"{prefix}.{top}"]

    return own_import


def _is_own(top: str, known: Mapping[str, CodeFile]) -> bool:
    """Whether a network's files mean one of their own by this name.

    A package's name is its own, whatever else has it: copies of a library mean themselves. A file
    alone that is called as a module of Python's or an installed one, `torch.py`, stands back.
    """
    file = known.get(top)
    if file is None or file.is_package:
        return file is not None or any(name.startswith(f"{top}.") for name in known)
    elsewhere = spec_of(top)
    standard = top in sys.stdlib_module_names
    return not standard and (elsewhere is None or elsewhere[0] == file.path)


@contextlib.contextmanager
def guarded(code: Code, doing: str) -> Iterator[None]:
    """What somebody's code does while it runs is undone or told; what it raises is a ModelError.

    What it prints is logged; standard input is empty; `sys.path` and torch's default type are as
    before, and modules that it found through its own changes of `sys.path` are forgotten.

    Raises
    ------
    ModelError
        With the error's type and message, and the line of the user's file that it came from.
    """
    import torch

    path, stdin, dtype = list(sys.path), sys.stdin, torch.get_default_dtype()
    before, said = set(sys.modules), io.StringIO()
    sys.stdin = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            yield
    except (KeyboardInterrupt, StoppedError, ModelError):
        raise
    except BaseException as error:  # sys.exit among them: someone else's code may raise anything
        raise ModelError(_told(error, code, doing)) from error
    finally:
        _forget_strays(before, [entry for entry in sys.path if entry not in path])
        sys.path[:], sys.stdin = path, stdin
        torch.set_default_dtype(dtype)
        if said.getvalue().strip():
            logger.info("%s printed: %s", code.label, said.getvalue().strip()[:500])


def _forget_strays(before: set[str], added: Sequence[str]) -> None:
    """Forget modules that came from folders which the code itself put into `sys.path`."""
    folders = tuple(str(Path(entry).absolute()) + os.sep for entry in added)
    for name in set(sys.modules) - before:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and not name.startswith(_PREFIX) and file.startswith(folders):
            del sys.modules[name]


def _told(error: BaseException, code: Code, doing: str) -> str:
    said = next(iter(str(error).splitlines()), "")
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, SystemExit):
        what = (
            f"it ends the program (SystemExit: {said}). Put what a script does below "
            'if __name__ == "__main__":'
        )
    elif isinstance(error, EOFError):
        what = f"it reads standard input, which is empty here ({what})"
    elif isinstance(error, ModuleNotFoundError) and error.name:
        what += (
            f". {error.name.removeprefix(module_prefix(code) + '.')!r} is neither installed nor "
            "beside the file"
        )
    if prefix := module_prefix(code):
        what = what.replace(f"{prefix}.", "").replace(prefix, "the files beside it")
    return f"{code.label} cannot be {doing}{_line(error, code)}: {what}"


def _line(error: BaseException, code: Code) -> str:
    """Where in the user's own files it happened, the innermost such place."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno}{_quoted(error.text or '')})"
    texts = {str(file.path): file.path for file in code.files}
    place, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name in texts:
            place = f" ({name}, line {trace.tb_lineno}{_quoted(_text(texts, name, trace))})"
        trace = trace.tb_next
    return place


def _text(texts: Mapping[str, Any], name: str, trace: Any) -> str:
    try:
        lines = texts[name].read_text(encoding="utf-8", errors="replace").splitlines()
        return str(lines[trace.tb_lineno - 1])
    except (OSError, IndexError):
        return ""


def _quoted(line: str) -> str:
    return f": {line.strip()[:120]}" if line.strip() else ""

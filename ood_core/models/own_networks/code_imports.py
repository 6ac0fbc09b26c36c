"""What a Python file imports, read from its text."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from functools import lru_cache

__all__ = ["imported_modules"]


@lru_cache(maxsize=1024)
def imported_modules(source: bytes, module: str, is_package: bool) -> tuple[str, ...]:
    """Dotted names of what may be modules in the imports of a file, those in functions too.

    `from a import b` gives "a.b" and "a", because b may be a module. What is imported by name at
    run time (`importlib.import_module`) is not seen; a file with a syntax error gives nothing.
    Names of relative imports begin with a dot: no installed module is meant by them.

    Parameters
    ----------
    module : dotted name of the file, from which relative imports start.
    is_package : whether it is an `__init__.py`.

    >>> imported_modules(b"from .blocks import Block", "nets.mine", False)
    ('.nets.blocks.Block', '.nets.blocks')
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    package = module.split(".") if is_package else module.split(".")[:-1]
    return tuple(dict.fromkeys(name for node in ast.walk(tree) for name in _named(node, package)))


def _named(node: ast.AST, package: list[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if not isinstance(node, ast.ImportFrom):
        return
    start = package[: len(package) - node.level + 1] if node.level else []
    base = [*start, *(node.module.split(".") if node.module else [])]
    dot = "." if node.level else ""
    yield from (dot + ".".join([*base, alias.name]) for alias in node.names if alias.name != "*")
    if base:
        yield dot + ".".join(base)

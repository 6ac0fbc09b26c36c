"""Commands of `python -m ood_core`: one file each, found by walking this package.

A command's module has a docstring (its first line is the help), `add_arguments(parser)` and
`run(args, terminal)`, which returns whether all went well and calls the library for the work.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

__all__ = ["all_commands"]


def all_commands() -> dict[str, ModuleType]:
    """Command name -> its module; `check_detector.py` is `check-detector`."""
    names = sorted(i.name for i in pkgutil.iter_modules(__path__) if not i.name.startswith("_"))
    return {n.replace("_", "-"): importlib.import_module(f"{__name__}.{n}") for n in names}

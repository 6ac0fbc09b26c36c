"""The optional packages that ONNX files need, or one error that says how to get them."""

from __future__ import annotations

import importlib
from types import ModuleType

from ood_core.errors import ModelError

__all__ = ["needed"]


def needed(name: str) -> ModuleType:
    """The package "onnx" or "onnxruntime", or a module of it.

    Raises
    ------
    ModelError
        When it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModelError(
            f"ONNX files need the packages onnx and onnxruntime, and {name.partition('.')[0]} "
            f"cannot be imported ({error}): pip install onnx onnxruntime"
        ) from error

"""Fixtures of the theory tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def made_up():
    """Function that makes up results of the lab, see lab_tables.py."""
    path = Path(__file__).with_name("lab_tables.py")
    spec = importlib.util.spec_from_file_location("lab_tables", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.made_up

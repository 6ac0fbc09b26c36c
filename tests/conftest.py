"""Fixtures that several test folders share. Keep it small."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock

from ood_core.activations import PENULTIMATE, Activations
from ood_core.experiments import ClassifierSpec
from ood_core.models import ClassifierHead
from tests.file_server import FileServer, serving
from tests.without_classes import make_home

_BESIDE = Path(__file__).parents[2] / "shared" / "data"
_NAMED = os.environ.get("OOD_LENS_DATA")
_CHECKPOINTS = [f for f in (Path(_NAMED or _BESIDE), _BESIDE) if (f / "checkpoints").is_dir()]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real images and checkpoints; a test that asks for it skips without."""
    if not _CHECKPOINTS:
        pytest.skip("needs the real images: OOD_LENS_DATA, or shared/data beside the checkout")
    return _CHECKPOINTS[0]


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A local HTTP server whose files and manners the test sets."""
    with serving() as found:
        yield found


class FakeSet(dict):
    """What `extract` returns, as far as scoring looks at it."""

    fingerprint = "made-by-hand"

    def __init__(self, sets, head, near=("near",), detectors=None):
        super().__init__(sets)
        self.head = head
        self.layers = (SimpleNamespace(name="early"), SimpleNamespace(name=PENULTIMATE))
        self.experiment = SimpleNamespace(
            name="fake", fit_set="fit", test_set="test", ood_sets=("near", "far"), near=near,
            sets=dict.fromkeys(sets), detectors=detectors or {},
            classifier=ClassifierSpec("digits_cnn", weights="shipped"),
        )  # fmt: skip


@pytest.fixture
def acts_set() -> FakeSet:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 8))
    sizes = {"fit": (200, 2.0), "test": (90, 2.0), "near": (70, 1.0), "far": (50, 0.2)}

    def make(name: str) -> Activations:
        n, scale = sizes[name]
        h = np.maximum(scale * rng.normal(0.5, 1, (n, 8)), 0).astype(np.float32)
        return Activations.from_arrays(
            h, h @ weight.T, rng.integers(0, 3, n), name=name, layers={"early": h[:, :5] + 1}
        )

    return FakeSet({name: make(name) for name in sizes}, ClassifierHead(weight))


@pytest.fixture(scope="session")
def digits_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which `digits` is prepared: once per run, shared by parallel workers."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if run else base) / f"digits-home-{run}"
    home.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "ood_core", "extract", "digits", "--quiet"]
    with FileLock(home / "lock"):
        done = subprocess.run(
            command, cwd=Path(__file__).parents[1], env=os.environ | {"OOD_LENS_HOME": str(home)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="session")
def home_without_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the experiments of `tests.without_classes` are prepared."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if run else base) / f"without-classes-{run}"
    make_home(home)
    return home

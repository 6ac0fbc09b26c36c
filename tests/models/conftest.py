from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ood_core.experiments import ClassifierSpec, DataSpec, Experiment, Preprocessing


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own and no data root or package cache, for every test here."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("OOD_LENS_HOME", str(home))
    for cache in ("TORCH_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(cache, str(home / "caches" / cache))
    monkeypatch.delenv("OOD_LENS_DATA", raising=False)
    return home


SMALL = Preprocessing(32, 32)


@pytest.fixture
def experiment() -> Callable[..., Experiment]:
    """Make an experiment on small colour images from the fields of its classifier."""

    def make(
        architecture: str,
        preprocessing: Preprocessing | None = SMALL,
        **fields: object,
    ) -> Experiment:
        return Experiment(
            name="made",
            title="Made",
            classifier=ClassifierSpec(architecture, **fields),  # type: ignore[arg-type]
            preprocessing=preprocessing,
            sets={"fit": DataSpec("fit", "builtin", "digits:fit")},
            ood_sets=(),
        )

    return make

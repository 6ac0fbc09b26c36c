from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ood_core.activations import distributed, extract
from ood_core.data import open_dataset
from ood_core.errors import ConfigError, DataError, StoppedError
from ood_core.experiments import Experiment


class FakeRay:
    """Ray's calls that the engine uses, in this process; results come last in, first out."""

    class exceptions:  # noqa: N801 - Ray's name
        class RayTaskError(Exception):
            def __init__(self, cause: Exception) -> None:
                self.cause = cause

    __spec__ = ModuleSpec("ray", None)

    def __init__(self) -> None:
        self.calls: dict[int, object] = {}
        self.cancelled: list[int] = []
        self.most = 0

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 1.0}

    def put(self, value: object) -> object:
        return value

    def remote(self, num_cpus: int, num_gpus: int) -> object:
        def wrap(function: object) -> object:
            def submit(*arguments: object) -> int:
                self.calls[len(self.calls)] = (function, arguments)
                return len(self.calls) - 1

            return SimpleNamespace(remote=submit)

        return wrap

    def wait(self, references: list[int], num_returns: int) -> tuple[list[int], list[int]]:
        self.most = max(self.most, len(references))
        return [max(references)], []

    def get(self, reference: int) -> object:
        function, arguments = self.calls[reference]
        try:
            return function(*arguments)
        except Exception as problem:
            raise self.exceptions.RayTaskError(problem) from problem

    def cancel(self, reference: int, force: bool) -> None:
        self.cancelled.append(reference)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    return fake


def test_equals_the_local_engine(
    tiny: Experiment, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = extract(tiny, engine="ray")
    values = {name: (found[name].features.copy(), found[name].ids) for name in found}
    assert len(ray.calls) == 3 + 2 + 1
    assert ray.most <= 2
    monkeypatch.setenv("OOD_LENS_HOME", os.environ["OOD_LENS_HOME"] + "-local")
    local = extract(tiny)
    for name, (features, ids) in values.items():
        np.testing.assert_allclose(features, local[name].features, rtol=1e-5, atol=1e-6)
        assert ids == local[name].ids


def test_other_files_on_a_worker_are_an_error(tiny: Experiment, ray: FakeRay) -> None:
    source = open_dataset(tiny.sets["fit"])
    shared = (tiny, distributed.EngineOptions(), tiny.preprocessing)
    with pytest.raises(DataError, match=r"a Ray worker sees other files for 'fit'"):
        distributed._shard(shared, source.name, "another", None)


def test_errors_come_as_themselves_and_the_rest_is_cancelled(
    tiny: Experiment, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "_shard", lambda *_: (_ for _ in ()).throw(DataError("gone")))
    with pytest.raises(DataError, match="gone"):
        extract(tiny, engine="ray")
    assert ray.cancelled


def test_stop(tiny: Experiment, ray: FakeRay) -> None:
    with pytest.raises(StoppedError):
        extract(tiny, engine="ray", should_stop=lambda: len(ray.calls) > 1)


def test_without_ray_the_message_says_how_to_get_it(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install -r requirements-ray.txt"):
        extract(tiny, engine="ray")


@pytest.mark.slow
def test_real_ray(tiny: Experiment, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (requirements-ray.txt)")
    import pickle

    (tmp_path / "exp.pickle").write_bytes(pickle.dumps(tiny))
    code = (
        "import pickle, sys; from pathlib import Path; from ood_core.activations import extract;"
        "acts = extract(pickle.loads(Path(sys.argv[1]).read_bytes()), engine='ray');"
        "print(float(acts['fit'].layer().l1.sum()))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "exp.pickle"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    os.environ["OOD_LENS_HOME"] += "-local"
    expected = float(extract(tiny)["fit"].layer().l1.sum())
    assert float(done.stdout.split()[-1]) == pytest.approx(expected, rel=1e-5)

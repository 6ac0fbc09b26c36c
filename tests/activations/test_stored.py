"""Activations read back from the store: as little as is asked for, and nothing heavy imported."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ood_core import scoring
from ood_core.activations import activation_set, extract, prepared, stored
from ood_core.activations.stored import CACHE, StoredActivations
from ood_core.experiments import Experiment
from ood_core.runtime.bounded import Bounded


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(shard, field) of every array that is read from the store."""
    seen: list[tuple[str, str]] = []
    original = stored.read_array

    def noting(path: Path, name: str) -> np.ndarray:
        seen.append((path.name, name))
        return original(path, name)

    monkeypatch.setattr(stored, "read_array", noting)
    return seen


def test_chunks_read_only_their_shards(tiny: Experiment, read: list[tuple[str, str]]) -> None:
    acts = extract(tiny)["fit"]
    expected, labels = acts.features.copy(), acts.labels.copy()
    CACHE.clear()
    read.clear()
    pieces = acts.chunks(8)
    first = next(pieces)
    np.testing.assert_array_equal(first.features, expected[:8])
    assert {shard for shard, _ in read} == {"00000.safetensors"}
    assert not any("active" in field for _, field in read)
    rest = list(pieces)
    assert [len(piece) for piece in rest] == [8, 4]
    np.testing.assert_array_equal(rest[1].features, expected[16:])
    np.testing.assert_array_equal(rest[1].labels, labels[16:])
    assert rest[1].ids == acts.ids[16:]
    assert CACHE.total < expected.nbytes


@pytest.mark.parametrize("detector", ["nan", "feature_norm", "sparsity"])
@pytest.mark.parametrize("layer", [None, "block2"])
def test_scores_of_stored_norms_read_no_features(
    tiny: Experiment, read: list[tuple[str, str]], detector: str, layer: str | None
) -> None:
    acts = extract(tiny)
    scoring.score(acts, detector, {"pool": "flat"}, layer)
    fields = {field for _, field in read}
    assert fields
    assert not fields & {"pooled", "active", "active_counts"}


def test_arrays_are_read_only_and_read_once(tiny: Experiment) -> None:
    acts = extract(tiny)["fit"]
    assert acts.features is acts.features
    for layer in acts.layers.values():
        for field in ("pooled", "active_fraction", "l1", "l2", "l0", "negatives", "active_counts"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(layer, field)[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        acts.logits[0, 0] = 1


def test_arrays_are_held_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    CACHE.clear()
    monkeypatch.setattr(CACHE, "limit", 100)
    for name in "abc":
        CACHE.get(("entry", name), lambda: np.zeros(40, np.uint8))
    assert CACHE.total == 80
    huge = CACHE.get(("entry", "huge"), lambda: np.zeros(500, np.uint8))
    assert CACHE.total == 500
    assert CACHE.get(("entry", "huge"), lambda: np.zeros(1)) is huge
    CACHE.clear()


def test_the_sets_used_lately_stay_one_object(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(tiny)
    monkeypatch.setattr(activation_set, "_SHARED", Bounded(2))

    def opened(name: str) -> StoredActivations:
        found = prepared(tiny, sets=[name])
        assert found is not None
        return found[name]

    first, fit, other = tiny.fit_set, tiny.test_set, tiny.ood_sets[0]
    held = opened(first)
    opened(fit)
    assert opened(first) is held
    opened(other)
    assert opened(first) is held, "the one used last was forgotten"
    assert opened(fit) is opened(fit)


def test_threads_that_open_a_set_share_it(tiny: Experiment) -> None:
    extract(tiny)
    activation_set._SHARED.clear()

    def opened(_: int) -> StoredActivations:
        found = prepared(tiny, sets=["fit"])
        assert found is not None
        return found["fit"]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(opened, range(32)))
    assert all(acts is found[0] for acts in found)


def test_the_warm_path_imports_nothing_heavy(tiny: Experiment, tmp_path: Path) -> None:
    extract(tiny)
    pickled = tmp_path / "exp.pickle"
    pickled.write_bytes(pickle.dumps(tiny))
    code = f"""
import pickle, sys
from pathlib import Path
import ood_core
from ood_core.activations import store
store.SHARD_IMAGES = 8
acts = ood_core.prepared(pickle.loads(Path({str(pickled)!r}).read_bytes()))
assert acts is not None
acts["fit"].features, acts["fit"].logits, acts["test"].layer("block1").active_fraction, acts.head
list(acts["fit"].chunks(3)), acts["fit"].ids, acts["fit"].labels, acts.layers, acts.skipped
heavy = {{"torch", "torchvision", "timm", "sklearn", "scipy", "pandas"}} & set(sys.modules)
sys.exit(f"imported {{sorted(heavy)}}" if heavy else 0)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from ood_core.activations import extract, prepared, prune, store, store_usage
from ood_core.activations.shards import (
    DamagedShardError,
    read_array,
    read_metadata,
    write_bytes,
    write_shard,
)
from ood_core.activations.stored import CACHE
from ood_core.errors import ConfigError, DataError
from ood_core.experiments import Experiment

# Runs `extract` in a process of its own, slowly enough to be caught in the middle; every batch
# that goes through the network is appended to a log.
WORKER = """
import pickle, sys, time
from pathlib import Path
from ood_core.activations import extract, store
from ood_core.activations.engine import Runner

exp = pickle.loads(Path(sys.argv[1]).read_bytes())
log, pause = Path(sys.argv[2]), float(sys.argv[3])
store.SHARD_IMAGES = 8
run = Runner._run

def slow(self, images):
    time.sleep(pause)
    with open(log, "a") as file:
        file.write(f"{len(images)}\\n")
    return run(self, images)

Runner._run = slow
stages = set()
acts = extract(exp, batch_size=4, progress=lambda p: stages.add(p.stage))
print(acts["fit"].features.sum(), "|".join(sorted(stages)))
"""


def _worker(tmp_path: Path, exp: Experiment, log: str, pause: float) -> subprocess.Popen[str]:
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(WORKER))
    pickled = tmp_path / "exp.pickle"
    pickled.write_bytes(pickle.dumps(exp))
    return subprocess.Popen(
        [sys.executable, script, pickled, tmp_path / log, str(pause)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def _images(path: Path) -> int:
    return sum(map(int, path.read_text(encoding="utf-8").split())) if path.exists() else 0


def _shards() -> list[Path]:
    return sorted((store._sets_dir()).glob("*/*/*.safetensors"))


def test_a_killed_run_continues_from_its_last_shard(tmp_path: Path, tiny: Experiment) -> None:
    process = _worker(tmp_path, tiny, "log", 0.25)
    deadline = time.monotonic() + 120
    while _images(tmp_path / "log") < 24 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert prepared(tiny) is None
    kept = {path: path.stat().st_mtime_ns for path in _shards()}
    assert kept
    (kept_folder := next(iter(kept)).parent).joinpath(".00009.safetensors.1.tmp").write_bytes(b"x")

    done, err = _worker(tmp_path, tiny, "log2", 0).communicate(timeout=120)
    assert done, err
    assert _images(tmp_path / "log2") <= 35 - 8
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not list(kept_folder.glob(".*.tmp"))
    resumed = extract(tiny)
    values = {name: resumed[name].features.copy() for name in resumed}
    os.environ["OOD_LENS_HOME"] += "-fresh"
    fresh = extract(tiny)
    for name, features in values.items():
        np.testing.assert_allclose(features, fresh[name].features, rtol=1e-5, atol=1e-6)


def test_two_processes_do_the_work_once(tmp_path: Path, tiny: Experiment) -> None:
    both = [_worker(tmp_path, tiny, f"log{i}", 0.2) for i in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert all(process.returncode == 0 for process in both), outputs
    assert _images(tmp_path / "log0") + _images(tmp_path / "log1") == 35
    assert len({out.split()[0] for out, _ in outputs}) == 1
    assert any("waiting for another process that extracts" in out for out, _ in outputs)


@pytest.mark.parametrize("layer", ["block2", store.BASE])
def test_a_truncated_shard_is_computed_again(
    tiny: Experiment, layer: str, forwards: list[int]
) -> None:
    first = extract(tiny)
    expected = first["fit"].layer("block2").pooled.copy()
    (entry,) = (e for e in store_usage() if e.layer == layer and e.info["set"] == "fit")
    shard = entry.folder / "00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-7])
    assert prepared(tiny, layers=["block2"]) is None
    forwards.clear()
    CACHE.clear()
    again = extract(tiny)
    assert sum(forwards) == 8
    np.testing.assert_allclose(again["fit"].layer("block2").pooled, expected, rtol=1e-5)


def test_a_missing_shard_is_computed_again(tiny: Experiment, forwards: list[int]) -> None:
    extract(tiny)
    entry = store_usage()[0]
    (entry.folder / "00000.safetensors").unlink()
    forwards.clear()
    extract(tiny)
    assert 0 < sum(forwards) <= 8


def test_changed_bytes_are_noticed_and_computed_again(
    tiny: Experiment, forwards: list[int]
) -> None:
    acts = extract(tiny)
    expected = acts["fit"].features.copy()
    (entry,) = (e for e in store_usage() if e.layer == "penultimate" and e.info["set"] == "fit")
    shard = entry.folder / "00002.safetensors"
    content = bytearray(shard.read_bytes())
    place = content.find(expected[17, :8].tobytes())
    assert place > 0
    content[place] ^= 0xFF
    shard.write_bytes(bytes(content))
    CACHE.clear()
    with pytest.raises(DamagedShardError, match=r"not those that were written.*prepare the exp"):
        _ = extract(tiny)["fit"].features
    forwards.clear()
    np.testing.assert_allclose(extract(tiny)["fit"].features, expected, rtol=1e-5, atol=1e-6)
    assert sum(forwards) == 4


def test_usage_and_pruning_by_least_recent_use(tiny: Experiment) -> None:
    extract(tiny)
    entries = store_usage()
    assert {e.info["set"] for e in entries} == {"fit", "test", "noise"}
    assert all(e.bytes > 0 and e.info["experiment"] == "tiny" for e in entries)
    for age, entry in enumerate(entries):
        os.utime(entry.folder / "entry.json", (1e9 + age, 1e9 + age))
    oldest = store_usage()[0]
    total = sum(e.bytes for e in entries)
    assert prune(total) == 0
    assert prune(total - 1) == oldest.bytes
    assert not oldest.folder.exists()
    assert len(store_usage()) == len(entries) - 1
    assert prune(0, keep={entries[1].set_key}) > 0
    assert {e.set_key for e in store_usage()} == {entries[1].set_key}
    assert prepared(tiny) is None


def test_a_set_being_extracted_is_not_pruned(tiny: Experiment) -> None:
    extract(tiny)
    held = store_usage()[0].set_key
    with store.set_lock(held):
        prune(0)
    assert {e.set_key for e in store_usage()} == {held}


def test_what_a_killed_prune_left_goes(tiny: Experiment) -> None:
    extract(tiny, sets=["test"])
    folder = store_usage()[0].folder
    leftover = folder.rename(folder.with_name(f".{folder.name}.trash"))
    prune()
    assert not leftover.exists()


def test_use_makes_an_entry_recent(tiny: Experiment) -> None:
    extract(tiny)
    for entry in store_usage():
        os.utime(entry.folder / "entry.json", (1e9, 1e9))
    prepared(tiny, sets=["test"])
    recent = {e.info["set"] for e in store_usage() if e.used > 2e9 or e.used > time.time() - 100}
    assert recent == {"test"}


def test_extraction_keeps_the_store_within_its_bound(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(tiny)
    one = sum(e.bytes for e in store_usage())
    monkeypatch.setenv("OOD_LENS_STORE_GB", str(1.5 * one / 1e9))
    for seed in (1, 2, 3):
        spec = dataclasses.replace(tiny.classifier, random_weights=seed)
        other = dataclasses.replace(tiny, classifier=spec)
        extract(other)
        assert sum(e.bytes for e in store_usage()) <= 1.5 * one
        assert prepared(other) is not None
    assert prepared(tiny) is None


@pytest.mark.parametrize("given", ["0", "-3", "much"])
def test_bound_must_be_positive(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OOD_LENS_STORE_GB", given)
    with pytest.raises(ConfigError, match=f"positive number of gigabytes; got '{given}'"):
        store.max_bytes()


def test_shards_are_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_shard(path, {"a": array}, {"rows": 2})
    np.testing.assert_array_equal(read_array(path, "a"), array)
    assert read_metadata(path)["rows"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]
    with pytest.raises(DamagedShardError, match="missing or cut short"):
        read_array(tmp_path / "missing.safetensors", "a")
    write_bytes(path, b"other")
    with pytest.raises(DamagedShardError, match="missing or cut short"):
        read_metadata(path)


def test_a_failing_disk_is_no_reason_to_remove_a_shard(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:

    acts = extract(tiny)["fit"]
    before = _shards()

    def failing(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("ood_core.activations.shards.safe_open", failing)
    CACHE.clear()
    with pytest.raises(DataError, match=r"cannot be read: .*Input/output error"):
        _ = acts.features
    assert _shards() == before


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    write_bytes(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]

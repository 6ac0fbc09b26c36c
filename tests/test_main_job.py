"""The main job from a shell, on the embedded experiment: everything real, nothing prepared."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ood_core import activations, load_experiment, scoring

ROOT = Path(__file__).parents[1]


@pytest.fixture
def shell(digits_home):
    def run(*argv: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ood_core", *argv, "--quiet"], cwd=ROOT, capture_output=True,
            text=True, check=False, env=os.environ | {"OOD_LENS_HOME": str(digits_home)},
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        return done.stdout

    return run


def test_two_benchmarks_print_the_same_numbers(shell, tmp_path):
    file = tmp_path / "results.csv"
    first = shell(
        "benchmark", "digits", "--detectors", "nan,feature_norm,line,msp", "--out", str(file)
    )
    assert first == shell("benchmark", "digits", "--detectors", "nan,feature_norm,line,msp")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert len(rows) == 4 * 6
    assert {row["n_id"] for row in rows} == {rows[0]["n_id"]}


def test_what_the_experiment_is_meant_to_show(digits_home, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    acts = activations.prepared(load_experiment("digits"))
    names = ("feature_norm", "negative_aware_norm", "line")
    found = {name: scoring.score(acts, name) for name in names}
    near = {name: found[name].evaluate("held-out").auroc for name in names}
    assert near["negative_aware_norm"] > near["feature_norm"]
    for name in names:
        assert found[name].evaluate("photos").auroc >= 0.90, name


def test_streaming_from_the_store_gives_the_same_scores(digits_home, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    acts = activations.prepared(load_experiment("digits"))
    for name in ("line", "nan", "msp"):
        whole = scoring.score(acts, name)
        with monkeypatch.context() as small:
            small.setattr("ood_core.scoring.score_set.HELD_BYTES", 0)
            small.setattr("ood_core.scoring.score_set.CHUNK", 100)
            pieces = scoring.score(acts, name)
        np.testing.assert_allclose(pieces.id_scores, whole.id_scores, rtol=1e-12)
        np.testing.assert_allclose(pieces.ood["photos"], whole.ood["photos"], rtol=1e-12)


def test_score_tells_digits_from_a_photo_patch(shell, digits_home, monkeypatch, tmp_path):
    from ood_core.data import open_dataset

    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    exp = load_experiment("digits")
    for name in ("test", "photos"):
        images = open_dataset(exp.sets[name])
        for i in range(20):
            images.load(i).save(tmp_path / f"{name}-{i:02d}.png")
    Image.new("RGB", (3, 3)).save(tmp_path / "small.jpg")
    (tmp_path / "text.png").write_text("not an image")
    lines = shell("score", "digits", "--detector", "nan", "--json", str(tmp_path), status=1)
    records = [json.loads(line) for line in lines.splitlines()]
    errors = [r for r in records if "error" in r]
    assert [Path(r["path"]).name for r in errors] == ["text.png"]
    share = {
        name: sum(r["is_id"] for r in records if name in r["path"] and "error" not in r) / 20
        for name in ("test-", "photos-")
    }
    assert share["test-"] >= 0.8
    assert share["photos-"] <= 0.3

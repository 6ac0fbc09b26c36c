"""From an experiment file to the leaderboard through the command line, for networks and layouts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ood_core import activations
from ood_core.commands import _main as cli
from ood_core.experiments import load_experiment
from ood_core.scoring import gates

SMALL = """
[preprocessing]
resize = 64
center_crop = 64
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"""
"""Half the cost of the published 224; the vision transformer and timm take their own."""

DETECTORS = (
    "msp",
    "energy",
    "gradnorm",
    "feature_norm",
    "negative_aware_norm",
    "react",
    "dice",
    "line",
)
"""One of each family; those that invert a covariance of 2,048 features take the longest."""

NETWORKS = {
    "torchvision:resnet50": SMALL,
    "torchvision:mobilenet_v2": SMALL,
    "torchvision:efficientnet_b0": SMALL,
    "torchvision:convnext_tiny": SMALL,
    "torchvision:vit_b_16": "",
    "torchvision:swin_t": SMALL,
    "timm:mobilenetv3_small_050": "",
}


def write_images(folder: Path, per_class: int, classes: tuple[str, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((72, 64)).save(folder / name / f"{number}.png")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_network_goes_from_file_to_leaderboard(architecture, tmp_path, capsys):
    if architecture.startswith("timm:"):
        pytest.importorskip("timm")
    for seed, (name, per_class) in enumerate({"fit": 3, "test": 2}.items()):
        write_images(tmp_path / name, per_class, ("cat", "dog", "horse"), seed)
    write_images(tmp_path / "ood", 5, ("",), 7)
    file = tmp_path / "mine.toml"
    file.write_text(
        f'[classifier]\narchitecture = "{architecture}"\nrandom_weights = 0\nnum_classes = 3\n'
        f'{NETWORKS[architecture]}\n[id]\nfit = {{ folder = "fit" }}\n'
        'test = { folder = "test" }\n[[ood]]\nname = "other"\nfolder = "ood"\n'
    )
    results = tmp_path / "results.csv"
    argv = ["benchmark", str(file), "--detectors", ",".join(DETECTORS), "--out", str(results)]
    status = cli.main([*argv, "--quiet", "--device", "cpu"])
    out, err = capsys.readouterr()
    assert status == 0, err
    board = [line for line in out.splitlines() if line.startswith("|")]
    rows = list(csv.DictReader(results.read_text().splitlines()))
    detectors = {row["detector"] for row in rows}
    assert len(board) == 2 + len(rows)
    assert detectors == set(DETECTORS)
    assert all(0 <= float(row["auroc"]) <= 1 and row["n_id"] == "6" for row in rows)
    acts = activations.prepared(load_experiment(file))
    head = gates.run_gates(acts)[0]
    assert head.name == "The head explains the logits"
    assert head.ok, head.text


OPENOOD = {
    "train_mine": ("train", 3, ("cat", "dog")),
    "test_mine": ("test", 2, ("cat", "dog")),
    "test_tin": ("tin", 3, ("n01",)),
    "test_texture": ("texture", 3, ("dotted", "woven")),
}


@pytest.fixture
def openood(tmp_path: Path) -> Path:
    """A download of OpenOOD as it lies on disk: lists beside images, OOD labels -1."""
    data = tmp_path / "data"
    lists = data / "benchmark_imglist" / "mine"
    lists.mkdir(parents=True)
    for seed, (name, (folder, count, classes)) in enumerate(OPENOOD.items()):
        write_images(data / "images_classic" / "mine" / folder, count, classes, seed)
        known = name.endswith("_mine")
        lines = [
            f"mine/{folder}/{c}/{i}.png {number if known else -1}"
            for number, c in enumerate(classes)
            for i in range(count)
        ]
        (lists / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return data


def test_openood_works_as_it_lies_on_disk(openood, checkpoint, tmp_path, capsys):
    path = checkpoint(classes=2)
    argv = ["new", "mine", "--from", str(openood), "--checkpoint", str(path), "--json"]
    status = cli.main([*argv, "--check", "0", "--quiet"])
    out, err = capsys.readouterr()
    assert status == 0, out + err
    assert all(json.loads(line)["ok"] for line in out.splitlines())
    exp = load_experiment("mine")
    assert exp.ood_sets == ("texture", "tin")
    assert exp.near == ("tin",)
    status = cli.main(["benchmark", "mine", "--detectors", "nan,msp,line", "--json", "--quiet"])
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0, err
    assert {(r["detector"], r["ood_set"]) for r in rows} == {
        (d, s) for d in ("negative_aware_norm", "msp", "line") for s in ("tin", "texture")
    }
    assert {(r["ood_set"], r["n_id"], r["n_ood"]) for r in rows} == {
        ("tin", 4, 3), ("texture", 4, 6),
    }  # fmt: skip


def test_openood_lists_without_their_images_say_where_they_were_looked_up(openood, capsys):
    import shutil

    shutil.rmtree(openood / "images_classic")
    file = openood / "mine.toml"
    file.write_text(
        '[classifier]\narchitecture = "resnet20"\nrandom_weights = 0\nnum_classes = 2\n'
        "[preprocessing]\nresize = 32\n[id]\n"
        'fit = { image_list = "benchmark_imglist/mine/train_mine.txt" }\n'
        'test = { image_list = "benchmark_imglist/mine/test_mine.txt" }\n'
    )
    assert cli.main(["extract", str(file), "--quiet"]) == 1
    assert "none of the images of" in (err := capsys.readouterr().err)
    assert "images_classic" in err

"""A large experiment made here: 50,000 ID and 100,000 OOD images through the real pipeline.

    python benchmarks/synthetic.py FOLDER [--id 50000] [--ood 100000]

Writes PNG files (handwritten digits blended with noise, each file once; every sample is a link
to one of them, so that each has a name of its own), an experiment file, and prepares it with the
trained digits network. `OOD_LENS_HOME` decides where the activations go.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

OOD_SETS = ("near", "middle", "far", "noise")
DISTINCT = 1500


def make(folder: Path, n_id: int, n_ood: int) -> Path:
    """Write images and the experiment file; return its path."""
    import ood_core
    from ood_core.data import open_dataset
    from ood_core.models.fingerprint import weights_file
    from ood_core.runtime.paths import experiments_dir

    digits = ood_core.load_experiment("digits")
    sources = {name: open_dataset(digits.sets[name]) for name in ("test", "held-out", "fit")}
    random = np.random.default_rng(0)
    _write(folder / "fit", sources["fit"], random, 0.0, 956, labelled=True)
    _write(folder / "test", sources["test"], random, 0.15, n_id, labelled=True)
    for name, blend in zip(OOD_SETS, (0.1, 0.4, 0.7, 1.0), strict=True):
        _write(folder / name, sources["held-out"], random, blend, n_ood // len(OOD_SETS))
    file = experiments_dir() / "synthetic.toml"
    file.write_text(_toml(folder.resolve(), weights_file(digits)), encoding="utf-8")
    return file


def _write(
    folder: Path, source: Any, random: Any, blend: float, count: int, *, labelled: bool = False
) -> None:
    if folder.exists():
        return
    written: list[Path] = []
    distinct = max(DISTINCT, len(source))
    for i in range(count):
        row = i % distinct % len(source)
        label = str(int(source.labels[row])) if labelled else "images"
        path = folder / label / f"{i:06d}.png"
        if i < distinct:
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.asarray(source.load(row).convert("L"), np.float64)
            noisy = (1 - blend) * pixels + blend * random.uniform(0, 255, pixels.shape)
            Image.fromarray(noisy.round().astype(np.uint8)).save(path)
            written.append(path)
        else:
            os.link(written[i % len(written)], path)


def _toml(folder: Path, weights: Path) -> str:
    sets = "\n".join(f'[[ood]]\nname = "{n}"\nfolder = "{folder / n}"\n' for n in OOD_SETS)
    return f"""name = "synthetic"
title = "Synthetic, large"

[classifier]
architecture = "digits_cnn"
checkpoint = "{weights}"
num_classes = 8

[preprocessing]
resize = 16
center_crop = 16
mean = [0.3]
std = [0.32]
mode = "L"

[id]
fit = {{ folder = "{folder / "fit"}" }}
test = {{ folder = "{folder / "test"}" }}

{sets}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--id", type=int, default=50_000)
    parser.add_argument("--ood", type=int, default=100_000)
    options = parser.parse_args()
    os.environ.setdefault("OOD_LENS_HOME", str(options.folder / "home"))
    import ood_core

    start = time.perf_counter()
    file = make(options.folder, options.id, options.ood)
    made = time.perf_counter()
    acts = ood_core.extract(ood_core.load_experiment(str(file)))
    ready = time.perf_counter()
    counts = ", ".join(f"{name} {len(acts[name]):,}" for name in acts)
    print(f"images written in {made - start:.0f} s, prepared in {ready - made:.0f} s: {counts}")
    print(f"experiment file: {file}")


if __name__ == "__main__":
    main()

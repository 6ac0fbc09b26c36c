"""What importing features from elsewhere costs, beside putting the same rows into the store.

    python -m benchmarks.features [--rows 200000] [--width 2048] [--folder FOLDER]

Writes a folder of `.npy` files for each set (half of the rows to fit on, a quarter each for the ID
test set and an OOD set), then measures in processes of their own:

- import: extraction from the files and the first chart, negative-aware norm;
- store: the same rows, reduced to their statistics and written as shards, and the same chart: what
  no way into the store can do without. Reading the files, checks and locks come on top;
- chart: the chart alone, once the rows are in the store.

It prints seconds, the largest memory of each process, and import / (store + chart), which should
be at most 2.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PARTS = {"fit": 2, "test": 4, "far": 4}
BLOCK = 4096
CLASSES = 10


def write(folder: Path, rows: int, width: int) -> None:
    """Files of the three sets, block by block, and the experiment."""
    rng = np.random.default_rng(0)
    rng_block = np.maximum(rng.normal(size=(BLOCK, width)), 0).astype(np.float32)
    for number, (name, part) in enumerate(PARTS.items()):
        n = rows // part
        (folder / name).mkdir()
        file = folder / name / "features.npy"
        features = np.lib.format.open_memmap(file, "w+", np.float32, (n, width))
        for start in range(0, n, BLOCK):
            stop = min(start + BLOCK, n)
            scale = rng.uniform(0.5, 1.5, (stop - start, 1)).astype(np.float32)
            features[start:stop] = rng_block[: stop - start] * scale / (1 + number // 2)
        features.flush()
        del features
        np.save(folder / name / "labels.npy", np.arange(n) % CLASSES)
    weight = rng.normal(size=(CLASSES, width))
    np.savez(folder / "head.npz", weight=weight)
    text = '[classifier]\nhead = "head.npz"\n[id]\nfit = { features = "fit" }\n'
    text += 'test = { features = "test" }\n[[ood]]\nname = "far"\nfeatures = "far"\n'
    (folder / "rows.toml").write_text(text, "utf-8")


def first_chart(folder: Path) -> None:
    """The figure that the Scores page begins with."""
    import ood_core
    from ood_core.plots.distributions import histogram
    from ood_core.scoring import score

    exp = ood_core.load_experiment(folder / "rows.toml")
    scores = score(ood_core.extract(exp), "negative_aware_norm")
    histogram(scores.summary(), {"far": scores.summary("far")}).to_json()


def store(folder: Path) -> None:
    """Statistics of the rows as shards, with a sync after each as the store has it."""
    from ood_core.activations.shards import write_shard
    from ood_core.activations.statistics import vector_statistics
    from ood_core.activations.store import SHARD_IMAGES

    weight = np.load(folder / "head.npz")["weight"]
    for name in PARTS:
        rows = np.load(folder / name / "features.npy", mmap_mode="r")  # counts as memory
        target = folder / "shards" / name
        target.mkdir(parents=True)
        for number, start in enumerate(range(0, len(rows), SHARD_IMAGES)):
            block = np.array(rows[start : start + SHARD_IMAGES])
            found = vector_statistics(block)
            del found["active"]  # follows from the features
            counts = found["active_counts"].astype(np.uint16)
            logits = (block @ weight.T).astype(np.float32)
            path = target / f"{number:05d}.safetensors"
            write_shard(path, {**found, "active_counts": counts, "logits": logits}, {})


def child(what: str, folder: Path, rows: int, width: int) -> None:
    """Run one step and print seconds and megabytes."""
    began = time.perf_counter()
    if what == "write":
        write(folder, rows, width)
    else:
        {"import": first_chart, "chart": first_chart, "store": store}[what](folder)
    seconds = time.perf_counter() - began
    print(seconds, peak_memory())


def peak_memory() -> float:
    """Largest memory of this process in MB. Linux counts a parent's into `ru_maxrss`."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024e-6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1e-6


def measured(what: str, folder: Path, rows: int, width: int) -> tuple[float, float]:
    """Seconds and largest memory in MB of one measurement, in a process of its own."""
    environment = os.environ | {"OOD_LENS_HOME": str(folder / "home")}
    size = ["--rows", str(rows), "--width", str(width), "--folder", str(folder)]
    command = [sys.executable, "-m", "benchmarks.features", "--child", what, *size]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def main() -> None:
    """Write, measure, print, remove."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--folder", type=Path, help="where to write; default: a temporary folder")
    parser.add_argument(
        "--child", choices=("write", "import", "chart", "store"), help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    if args.child:
        child(args.child, args.folder, args.rows, args.width)
        return
    folder = Path(tempfile.mkdtemp(prefix="features-", dir=args.folder))
    try:
        steps = ("write", "import", "chart", "store")
        found = {what: measured(what, folder, args.rows, args.width) for what in steps}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    gigabytes = args.rows * args.width * 4e-9
    print(f"{args.rows:,} rows x {args.width:,} float32, {gigabytes:.2f} GB")
    for what, (seconds, megabytes) in found.items():
        print(f"{what:<8} {seconds:8.2f} s   {megabytes:8.0f} MB")
    whole = found["store"][0] + found["chart"][0]
    print(f"import / (store + chart) = {found['import'][0] / whole:.2f}")


if __name__ == "__main__":
    main()

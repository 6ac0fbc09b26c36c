"""LINe under its sliders: seconds for each slider, at CIFAR-100's and at ImageNet's shape.

    python benchmarks/neurons.py [--rows 100000] [--json]

Random weights and features; the work does not depend on their values. `cpu` is the time of all
cores together, `wall` what a visitor waits, `matmul` one product of the features with the weight
in the same run, for comparison between machines.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from ood_core.activations import Activations
from ood_core.models import ClassifierHead
from ood_core.neurons import LineLab, contribution_view, seriate

SHAPES = {"cifar100": (100, 342, 100_000), "imagenet": (1000, 2048, 10_000)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [row for name, shape in SHAPES.items() for row in measure(name, *shape)]
    for row in rows:
        print(json.dumps(row) if options.json else "  ".join(f"{k} {v}" for k, v in row.items()))


def measure(name: str, c: int, d: int, n: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    head = ClassifierHead(rng.normal(size=(c, d)) * 0.1, np.zeros(c))

    def acts(rows: int) -> Activations:
        h = np.maximum(rng.normal(0.2, 0.8, size=(rows, d)), 0).astype(np.float32)
        return Activations.from_arrays(h, head.logits(h).astype(np.float32), np.arange(rows) % c)

    sets = {"fit": acts(2 * c), "test": acts(n // 2), "ood": acts(n - n // 2)}
    lab = LineLab(sets["fit"], sets, "test", ["ood"], head)
    out = []

    def timed(what: str, work: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        row = {"shape": name, "what": what, "wall": round(wall, 3), "cpu": round(cpu, 3)}
        out.append(row)

    h = np.concatenate([sets["test"].features, sets["ood"].features]).astype(np.float64)
    timed("matmul", lambda: h @ head.weight.T)
    timed("first", lambda: lab.rescore(90, 90, 1.0))
    timed("p_a to 10", lambda: lab.rescore(10, 90, 1.0))
    timed("p_w to 10", lambda: lab.rescore(10, 10, 1.0))
    timed("clip to 0.8", lambda: lab.rescore(10, 10, 0.8))
    timed("overlay", lambda: lab.removed(10, 10))
    if lab.is_slow:
        size = lab.preview_size
        timed(f"preview of {size} a set", lambda: lab.rescore(90, 50, 0.8, limit=size))
    timed("order", lambda: seriate(lab.contributions, "class"))
    order = seriate(lab.contributions, "class")
    timed("view", lambda: contribution_view(lab.contributions, order, head.names))
    return out


if __name__ == "__main__":
    main()

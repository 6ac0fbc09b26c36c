"""Extraction against a bare DataLoader and forward loop, in the same run.

    python benchmarks/extraction.py [--images 4000] [--large 40000] [--rounds 3] [--device auto]

Every measurement runs in a process of its own, ours and the bare loop by turns. The bare loop
decodes with torchvision's transforms in DataLoader workers (the best of none and one per core),
passes batches of the same size as ours through the network and keeps the logits. Ours decodes,
passes, records every layer and writes the store. Ratios of throughput above 1 mean that ours is
faster. CPU seconds per image are compared too: on a machine shared with others they say more
than the clock.

Random weights: speed does not depend on what was learnt. Without the real JPEG images (see
OOD_LENS_DATA) noise images of the same size are used.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = ("densenet_bc100_12", "resnet20")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def experiment(network: str, folder: Path):
    from ood_core.experiments import ClassifierSpec, DataSpec, Experiment, Preprocessing

    sets = {name: DataSpec(name, "folder", str(folder)) for name in ("fit", "test")}
    return Experiment(
        name="speed",
        title="Speed",
        classifier=ClassifierSpec(network, random_weights=0, num_classes=10),
        preprocessing=Preprocessing(32, 32, MEAN, STD),
        sets=sets,
        ood_sets=(),
    )


def ours(network: str, folder: Path, device: str) -> dict:
    from ood_core.activations import extract
    from ood_core.activations.resident_models import resident_model

    exp = experiment(network, folder)
    resident_model(exp)
    clock, cpu = time.perf_counter(), _cpu()
    acts = extract(exp, sets=["fit"], device=device)
    return _result(len(acts["fit"]), clock, cpu)


def second(network: str, folder: Path, device: str) -> dict:
    """The same call again, in a new process: from the store."""
    from ood_core.activations import extract

    clock, cpu = time.perf_counter(), _cpu()
    acts = extract(experiment(network, folder), sets=["fit"], device=device)
    found = _result(len(acts["fit"]), clock, cpu)
    return {**found, "torch": "torch" in sys.modules}


def bare(network: str, folder: Path, device: str, workers: int) -> dict:
    import torch
    from torchvision import datasets, transforms

    from ood_core.activations.engine import EngineOptions, Runner
    from ood_core.activations.resident_models import resident_model

    runner = Runner(resident_model(experiment(network, folder)), EngineOptions(device))
    device, module = runner.device.type, runner.loaded.module
    transform = transforms.Compose(
        [
            transforms.Resize(32),
            transforms.CenterCrop(32),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    clock, cpu = time.perf_counter(), _cpu()
    loader = torch.utils.data.DataLoader(
        datasets.ImageFolder(folder, transform),
        batch_size=runner.batch_size,
        num_workers=workers,
        pin_memory=device == "cuda",
    )
    with torch.inference_mode():
        logits = [module(x.to(device, non_blocking=True)).cpu() for x, _ in loader]
    return _result(sum(map(len, logits)), clock, cpu)


def _cpu() -> float:
    """CPU seconds of this process and of the workers it waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _result(images: int, clock: float, cpu: float) -> dict:
    return {
        "images": images,
        "seconds": time.perf_counter() - clock,
        "cpu": _cpu() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure(what: str, network: str, folder: Path, device: str, home: Path, workers: int) -> dict:
    done = subprocess.run(
        [sys.executable, __file__, "--child", what, "--network", network, "--folder", folder,
         "--device", device, "--workers", str(workers)],
        env={**os.environ, "OOD_LENS_HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def make_images(folder: Path, count: int) -> Path:
    """`count` JPEG images of 32 x 32 in ten class folders: links to real ones where there are."""
    from PIL import Image

    roots = [Path(p) for p in os.environ.get("OOD_LENS_DATA", "").split(os.pathsep) if p]
    roots.append(ROOT.parent / "shared" / "data")
    real = next((sorted((r / "cifar10-jpeg").rglob("*.jpg")) for r in roots if r.is_dir()), [])
    rng = np.random.default_rng(0)
    for i in range(count):
        target = folder / str(i % 10) / f"{i:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        if real:
            target.symlink_to(real[i % len(real)])
        else:
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(target, quality=90)
    return folder


def throughput(network: str, folder: Path, device: str, rounds: int, scratch: Path) -> float:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    ratios, cpu_ratios = [], []
    for i in range(rounds):
        home = scratch / f"{network}-{i}"
        loops = {w: measure("bare", network, folder, device, home, w) for w in (0, cores or 1)}
        workers, loop = min(loops.items(), key=lambda item: item[1]["seconds"])
        mine = measure("ours", network, folder, device, home, 0)
        again = measure("second", network, folder, device, home, 0)
        least_cpu = min(found["cpu"] for found in loops.values())
        ratios.append(loop["seconds"] / mine["seconds"])
        cpu_ratios.append(least_cpu / mine["cpu"])
        print(
            f"{network:18} bare {loop['images'] / loop['seconds']:8.0f}/s ({workers} workers)"
            f"   ours {mine['images'] / mine['seconds']:8.0f}/s   ratio {ratios[-1]:.2f}"
            f"   CPU ratio {cpu_ratios[-1]:.2f}"
            f"   second call {again['seconds']:.2f} s, torch imported: {again['torch']}",
            flush=True,
        )
        shutil.rmtree(home)
    print(
        f"{network:18} median throughput ratio {statistics.median(ratios):.2f}, "
        f"median CPU ratio {statistics.median(cpu_ratios):.2f}"
    )
    return statistics.median(ratios)


def memory(folders: list[Path], device: str, scratch: Path) -> None:
    for folder in folders:
        found = measure("ours", "resnet20", folder, device, scratch / f"m-{folder.name}", 0)
        print(f"resnet20 {found['images']:>7} images: peak {found['peak_mb']:.0f} MB", flush=True)


def device_name(device: str) -> str:
    from ood_core.activations.engine import pick_device

    chosen = pick_device(device)
    if chosen != "cuda":
        return chosen
    import torch

    return torch.cuda.get_device_name(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--large", type=int, default=40_000, help="0: leave memory out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--network", default=",".join(NETWORKS))
    parser.add_argument("--child", choices=("ours", "second", "bare"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        arguments = [given.network, given.folder, given.device]
        if given.child == "bare":
            arguments.append(given.workers)
        print(json.dumps({"ours": ours, "second": second, "bare": bare}[given.child](*arguments)))
        return
    sys.path.insert(0, str(ROOT))
    print(f"device: {device_name(given.device)}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        small = make_images(scratch / "small", given.images)
        for network in filter(None, given.network.split(",")):
            throughput(network, small, given.device, given.rounds, scratch)
        if given.large:
            large = make_images(scratch / "large", given.large)
            memory([small, large], given.device, scratch)


if __name__ == "__main__":
    main()

"""Time and memory of every detector, beside pytorch-ood and beside a naive version.

    python benchmarks/detectors.py                    # the full size: minutes
    python benchmarks/detectors.py --fit 2000 --score 3000 --peer-fit 1000 --peer-score 500

Three tables, one run: all detectors at full size; ours as a multiple of pytorch-ood's and of the
naive version's speed at a size that those can bear; LINe at ImageNet's shape. Absolute times depend
on the machine and on what else it does; ratios within one run can be compared. On a busy machine
`--clock cpu` counts processor time over all threads instead.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from ood_core.activations import Activations
from ood_core.detectors import all_detectors, make_detector
from ood_core.detectors.line import Line, group_rows, line_scores
from ood_core.detectors.line_masks import line_masks
from ood_core.models import ClassifierHead

PEERS = {
    "msp": ("MaxSoftmax", {}),
    "max_logit": ("MaxLogit", {}),
    "energy": ("EnergyBased", {}),
    "gen": ("GEN", {}),
    "mahalanobis": ("Mahalanobis", {}),
    "knn": ("KNN", {"k": 50}),
    "vim": ("ViM", {"d": 256}),
    "react": ("ReAct", {}),
    "dice": ("DICE", {"p": 0.9}),
    "ash_p": ("ASH", {"variant": "ash-p", "percentile": 0.9}),
    "ash_b": ("ASH", {"variant": "ash-b", "percentile": 0.9}),
    "ash_s": ("ASH", {"variant": "ash-s", "percentile": 0.95}),
    "scale": ("SCALE", {"percentile": 0.85}),
    "nnguide": ("NNGuide", {}),
    "fdbd": ("fDBD", {}),
    "she": ("SHE", {}),
}


def features(
    rng: np.random.Generator, n: int, weight: np.ndarray, strength: float, name: str
) -> Activations:
    labels = rng.integers(0, len(weight), n)
    h = rng.standard_normal((n, weight.shape[1]), dtype=np.float32)
    for start in range(0, n, 4096):
        part = slice(start, start + 4096)
        h[part] += (strength * weight[labels[part]]).astype(np.float32)
    np.maximum(h, 0, out=h)
    z = ClassifierHead(weight).logits(h).astype(np.float32)
    return Activations.from_arrays(h, z, labels, name=name)


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = CLOCKS["wall"]


def seconds(work: Callable[[], object], repeat: int = 1) -> float:
    best = float("inf")
    for _ in range(repeat):
        began = clock()
        work()
        best = min(best, clock() - began)
    return best


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def full_size(args: argparse.Namespace) -> None:
    rng = np.random.default_rng(0)
    weight = 0.1 * rng.standard_normal((args.classes, args.features))
    head = ClassifierHead(weight)
    fit = features(rng, args.fit, weight, 3.0, "fit")
    known = features(rng, args.score // 7, weight, 3.0, "test")
    unknown = features(rng, args.score - args.score // 7, weight, 0.5, "ood")
    print(
        f"\nfit {args.fit:,} x {args.features}, {args.classes} classes; score {args.score:,} rows"
    )
    print(f"{'detector':15}{'fit s':>9}{'score s':>9}{'peak GB':>9}")
    total = 0.0
    for name in args.detectors:
        detector = make_detector(name)
        fitting = seconds(lambda d=detector: d.fit(fit, head))
        scoring = seconds(lambda d=detector: [d.score_samples(a) for a in (known, unknown)])
        total += fitting + scoring
        print(f"{name:15}{fitting:9.2f}{scoring:9.2f}{peak_gb():9.2f}", flush=True)
    print(f"{'all':15}{total:18.2f}{peak_gb():9.2f}")


def naive_knn(bank: np.ndarray, h: np.ndarray, k: int) -> np.ndarray:
    def unit(x: np.ndarray) -> np.ndarray:
        return x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-10)

    bank = unit(bank.astype(np.float64))
    return np.array([-np.sort(np.linalg.norm(bank - unit(x), axis=1))[k - 1] for x in h])


def naive_fdbd(h: np.ndarray, z: np.ndarray, w: np.ndarray, mean: np.ndarray) -> np.ndarray:
    gaps = np.linalg.norm(w[:, None] - w[None], axis=2)
    np.fill_diagonal(gaps, 1.0)
    margin = (z.max(axis=1, keepdims=True) - z) / gaps[z.argmax(axis=1)]
    return margin.sum(axis=1) / (len(w) - 1) / np.linalg.norm(h - mean, axis=1)


def naive_gradnorm(h: np.ndarray, head: ClassifierHead) -> list[float]:
    import torch

    weight = torch.tensor(head.weight, requires_grad=True)
    out = []
    for row in h:
        z = weight @ torch.tensor(row, dtype=torch.float64)
        (gradient,) = torch.autograd.grad(-torch.log_softmax(z, 0).mean(), weight)
        out.append(float(gradient.abs().sum()))
    return out


def naive_line(
    contributions: np.ndarray, w: np.ndarray, h: np.ndarray, p_a: float, p_w: float, clip: float
) -> np.ndarray:
    """The published layer: masks as a class x class x unit tensor, votes as rows x class x unit."""
    unit_masks = contributions > np.percentile(contributions, p_a, axis=1)[:, None]
    masked = np.empty((len(w), *w.shape), dtype=np.float32)
    for c, row in enumerate(contributions):
        m = np.abs(row) * w
        masked[c] = np.where(m > np.percentile(m, p_w), w, 0)
    out = []
    for start in range(0, len(h), 64):
        x = np.minimum(h[start : start + 64], clip)
        c = (x @ w.T).argmax(axis=1)
        z = ((x * unit_masks[c])[:, None, :] * masked[c]).sum(axis=2)
        out.append(np.log(np.exp(z).sum(axis=1)))
    return np.concatenate(out)


def against_peers(args: argparse.Namespace) -> None:
    rng = np.random.default_rng(1)
    weight = 0.1 * rng.standard_normal((args.peer_classes, args.features))
    head = ClassifierHead(weight)
    fit = features(rng, args.peer_fit, weight, 3.0, "fit")
    test = features(rng, args.peer_score, weight, 3.0, "test")
    mean = fit.features.mean(axis=0)
    naive: dict[str, Callable[[], object]] = {
        "knn": lambda: naive_knn(fit.features, test.features, 50),
        "fdbd": lambda: naive_fdbd(test.features, test.logits, weight, mean),
        "gradnorm": lambda: naive_gradnorm(test.features, head),
    }
    line = Line().fit(fit, head)
    naive["line"] = lambda: naive_line(line.contributions_, weight, test.features, 90, 90, 1.0)
    print(
        f"\nfit {args.peer_fit:,} x {args.features}, {args.peer_classes} classes; score "
        f"{args.peer_score:,} rows (fit + score; x: how many times ours is faster)"
    )
    print(f"{'detector':15}{'ours s':>9}{'pytorch-ood s':>15}{'x':>7}{'naive s':>10}{'x':>7}")
    for name in sorted(set(PEERS) | set(naive)):
        if name not in args.detectors:
            continue

        def run(which: str, params: dict, data: Activations = fit) -> None:
            # New arrays each time: distances between stored arrays would be remembered.
            rows = Activations.from_arrays(test.features, test.logits)
            make_detector(which, **params).fit(data, head).score_samples(rows)

        ours = seconds(lambda n=name: run(n, {}), 3)
        line_out = f"{name:15}{ours:9.3f}"
        if name in PEERS and not args.no_peers:
            peer, params = PEERS[name]
            theirs = seconds(lambda p=peer, q=params: run(f"pytorch_ood:{p}", q), 3)
            line_out += f"{theirs:15.3f}{theirs / ours:7.1f}"
        else:
            line_out += f"{'-':>15}{'':7}"
        if name in naive:
            slow = seconds(naive[name])
            line_out += f"{slow:10.3f}{slow / ours:7.1f}"
        print(line_out, flush=True)


def line_shapes(args: argparse.Namespace) -> None:
    print("\nLINe by shape; slider: masks + scores from rows already grouped")
    print(
        f"{'shape':24}{'p_a':>5}{'p_w':>5}{'fit s':>8}{'score s':>9}{'masks s':>9}{'slider s':>10}"
        f"{'peak GB':>9}"
    )
    for c, d, n, p_a, p_w in (
        (100, 342, args.line_rows * 10, 10, 90),
        (100, 342, args.line_rows * 10, 90, 90),
        (1000, 2048, args.line_rows, 10, 10),
        (1000, 2048, args.line_rows, 90, 90),
    ):
        rng = np.random.default_rng(2)
        weight = 0.1 * rng.standard_normal((c, d))
        head = ClassifierHead(weight)
        fit = features(rng, max(c * 10, args.line_rows), weight, 3.0, "fit")
        test = features(rng, n, weight, 1.0, "test")
        detector = Line(p_a=p_a, p_w=p_w)
        fitting = seconds(lambda: detector.fit(fit, head))  # noqa: B023 - called at once
        scoring = seconds(lambda: detector.score_samples(test))  # noqa: B023
        rows = group_rows(test.features, head, 1.0)
        masks_s = seconds(lambda: line_masks(detector.contributions_, weight, p_a, p_w))  # noqa: B023
        slider = masks_s + seconds(lambda: line_scores(rows, detector.masks_, head.bias))  # noqa: B023
        shape = f"{n:,} x {d}, {c} classes"
        print(
            f"{shape:24}{p_a:5}{p_w:5}{fitting:8.2f}{scoring:9.2f}{masks_s:9.2f}{slider:10.2f}"
            f"{peak_gb():9.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", type=int, default=50_000, help="fit rows")
    parser.add_argument("--score", type=int, default=70_000, help="rows scored, 1/7 of them ID")
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--peer-fit", type=int, default=5_000)
    parser.add_argument("--peer-score", type=int, default=2_000)
    parser.add_argument("--peer-classes", type=int, default=100)
    parser.add_argument("--line-rows", type=int, default=10_000, help="rows at ImageNet's shape")
    parser.add_argument("--detectors", help="names with commas; all by default")
    parser.add_argument("--tables", default="all,peers,line", help="which tables, with commas")
    parser.add_argument("--no-peers", action="store_true", help="leave pytorch-ood out")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    args = parser.parse_args()
    global clock
    clock = CLOCKS[args.clock]
    args.detectors = args.detectors.split(",") if args.detectors else list(all_detectors())
    logging.disable(logging.WARNING)
    tables = {"line": line_shapes, "all": full_size, "peers": against_peers}
    for name, table in tables.items():
        if name in args.tables.split(","):
            table(args)


if __name__ == "__main__":
    main()

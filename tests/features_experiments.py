"""Experiments of features for tests of the pages: with a head, and of text without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["write_text_only", "write_with_head"]

CLASSES = 4
D = 12


def write_with_head(folder: Path) -> str:
    """Sets of rows round class centres, with head, labels, a further layer and texts; the name."""
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(CLASSES, D))
    np.savez(folder / "head.npz", weight=centres, bias=-(centres**2).sum(1) / 2)
    for name, (n, ood) in {
        "fit": (240, 0),
        "test": (120, 0),
        "near": (80, 1),
        "far": (90, 2),
    }.items():
        labels = np.arange(n) % CLASSES
        middle = centres[labels] * (1 - ood / 2)
        features = np.maximum(middle + rng.normal(size=(n, D)), 0)
        np.savez(
            folder / f"{name}.npz", early=np.abs(rng.normal(size=(n, 6))) + ood,
            features=features.astype(np.float32), ids=[f"{name} row {i}" for i in range(n)],
            **({} if ood else {"labels": labels}),
        )  # fmt: skip
    return _experiment(folder, "with-head", ".npz", head=True)


def write_text_only(folder: Path) -> str:
    """Sets of rows of text in Parquet, without labels, logits or a head; the name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(1)
    for name, (n, ood) in {
        "fit": (240, 0),
        "test": (120, 0),
        "near": (80, 1),
        "far": (90, 2),
    }.items():
        features = np.maximum(rng.normal(size=(n, D)) + 2 - ood, 0)
        table = {"features": list(features), "text": [f"{name} sentence {i}" for i in range(n)]}
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    return _experiment(folder, "text-only", ".parquet", head=False)


def _experiment(folder: Path, name: str, suffix: str, head: bool) -> str:
    home = folder / "home" / "experiments"
    home.mkdir(parents=True, exist_ok=True)
    lines = [f'title = "Rows {name}"']
    if head:
        lines += [
            "[classifier]",
            f'head = "{folder}/head.npz"',
            'class_names = ["a", "b", "c", "d"]',
        ]
    lines += ["[id]", *(f'{s} = {{ features = "{folder}/{s}{suffix}" }}' for s in ("fit", "test"))]
    for ood in ("near", "far"):
        lines += ["[[ood]]", f'name = "{ood}"', f'features = "{folder}/{ood}{suffix}"']
    (home / f"{name}.toml").write_text("\n".join(lines), "utf-8")
    return name

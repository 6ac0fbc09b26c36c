"""The two papers' result tables, as printed, and the experiments whose setting they match."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TABLES", "PublishedTable", "matching", "read"]

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class PublishedTable:
    """One printed table.

    Parameters
    ----------
    file : CSV beside this module; percent, FPR95 with ID positive.
    title : what it holds.
    setting : classifier, data and training, in one sentence.
    experiments : names of experiments with the same classifier architecture and data sets.
    differs : how those experiments differ from the paper's setting all the same.
    """

    file: str
    title: str
    setting: str
    experiments: tuple[str, ...] = ()
    differs: str = ""


TABLES = (
    PublishedTable(
        "line_imagenet_r50.csv",
        "LINe paper, ImageNet-1k",
        "LINe on ImageNet-1k with ResNet-50 (arXiv 2303.13995); only the cells that could be "
        "verified.",
        ("imagenet-resnet50",),
        "Weights: torchvision's IMAGENET1K versions may differ from the paper's.",
    ),
    PublishedTable(
        "nan_table1_imagenet_r50.csv",
        "NAN paper, Table 1",
        "ImageNet-1k, ResNet-50 trained with supervised contrastive learning and a linear head on "
        "the frozen backbone (arXiv 2310.05316).",
        ("imagenet-resnet50",),
        "The paper's network was trained with supervised contrastive learning, torchvision's with "
        "cross-entropy.",
    ),
    PublishedTable(
        "nan_table2_compat.csv",
        "NAN paper, Table 2",
        "NAN with other scores, averages over the four ImageNet OOD sets, network of Table 1.",
        ("imagenet-resnet50",),
        "As Table 1.",
    ),
    PublishedTable(
        "nan_table3_cifar10_r18.csv",
        "NAN paper, Table 3",
        "CIFAR-10, ResNet-18 (arXiv 2310.05316).",
        ("cifar10-resnet18",),
        "The checkpoint is not the paper's; OOD sets match by name only.",
    ),
    PublishedTable(
        "nan_table4_occ.csv",
        "NAN paper, Table 4",
        "One-class classification, MoCo-v2 trained on the one class, mean AUROC.",
    ),
    PublishedTable(
        "nan_table5_ablation.csv",
        "NAN paper, Table 5",
        "NAN with and without the sparsity term, averages over the OOD sets.",
        ("imagenet-resnet50", "cifar10-resnet18"),
        "As Tables 1 and 3.",
    ),
)


def read(table: PublishedTable) -> pd.DataFrame:
    """The table's rows as printed, in percent; empty cells are NaN."""
    import pandas as pd

    return pd.read_csv(_HERE / table.file, comment="#")


def matching(experiment: str) -> tuple[PublishedTable, ...]:
    """Tables whose classifier and data sets are those of the named experiment."""
    return tuple(t for t in TABLES if experiment in t.experiments)

"""Nearest rows of a bank in torch, by chunks of the bank: what exported neighbour scores run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ood_core.detectors.torch_form import CHUNK

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["torch_kth_distance", "torch_top_keys"]

_MARGIN = 8
"""Candidates on either side of the k-th whose distances are settled by differences."""


def torch_top_keys(
    queries: Tensor, bank: Tensor, count: int, offset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The `count` largest keys `q · row + offset` per query and their rows, (n, count) each.

    Largest first. The number of chunks is that of the bank, so an exported program unrolls them.
    """
    import torch

    best: tuple[Tensor, Tensor] | None = None
    for start in range(0, len(bank), CHUNK):
        rows = bank[start : start + CHUNK]
        if offset is None:
            keys = queries @ rows.T
        else:
            keys = torch.addmm(offset[start : start + CHUNK], queries, rows.T)
        keys, index = keys.topk(min(count, len(rows)), dim=1)
        index = index + start
        if best is not None:
            index = torch.cat((best[1], index), dim=1)
            keys, order = torch.cat((best[0], keys), dim=1).topk(min(count, index.shape[1]), dim=1)
            index = index.gather(1, order)
        best = keys, index
    assert best is not None, "a bank has rows"
    return best


def torch_kth_distance(queries: Tensor, bank: Tensor, offset: Tensor, k: int) -> Tensor:
    """Euclidean distance from each query to its k-th nearest row, (n,): `Bank.kth_distance`.

    Keys choose candidates; distances are those of differences, because `2 − 2·key` of rows that
    almost coincide is rounding: 1e-16 in the square, 1e-8 in the distance. As with the bank's own
    search, more than 8 other rows that lie that close to the k-th may stand in for it.
    """
    import torch

    _, index = torch_top_keys(queries, bank, min(len(bank), k + _MARGIN), offset)
    first = max(0, k - 1 - _MARGIN)
    squared = [(queries - bank[index[:, j]]).square().sum(1) for j in range(first, index.shape[1])]
    return torch.stack(squared, dim=1).sort(dim=1).values[:, k - 1 - first].sqrt()

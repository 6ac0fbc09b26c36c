"""Tidy tables of results, and how they are printed: Markdown, LaTeX. FPR95 has ID positive."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ood_core.runtime.names import in_markdown, shown
from ood_core.scoring.params import params_text
from ood_core.scoring.score_set import ScoreSet
from ood_core.scoring.skipped import Skipped

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "latex", "markdown", "tidy"]

COLUMNS = (
    "detector", "params", "layer", "id_set", "ood_set", "auroc", "auroc_low", "auroc_high",
    "fpr95", "fpr95_low", "fpr95_high", "aupr_in", "aupr_out", "n_id", "n_ood",
)  # fmt: skip
"""Columns of results.csv: rates in 0-1, intervals at 95 %, FPR95 with ID positive."""


def tidy(score_sets: Sequence[ScoreSet | Skipped]) -> pd.DataFrame:
    """One row per score set and OOD set, the columns of results.csv.

    Rows of detectors that could not run have no figures; only with those there is a column
    `error`, which says why ("" in the rows of the others).
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    for s in score_sets:
        for name in s.n_ood if isinstance(s, Skipped) else s.ood:
            row: dict[str, object] = {
                "detector": s.detector,
                "params": params_text(s.params),
                "layer": s.layer,
                "id_set": s.id_name,
                "ood_set": name,
            }
            if isinstance(s, Skipped):
                row |= {"n_id": s.n_id, "n_ood": s.n_ood[name], "error": s.reason}
            else:
                figures = s.evaluate(name)
                row |= {c: getattr(figures, c) for c in COLUMNS[5:]}
            rows.append(row)
    failed = any(isinstance(s, Skipped) for s in score_sets)
    table = pd.DataFrame(rows, columns=[*COLUMNS, "error"] if failed else list(COLUMNS))
    return table.fillna({"error": ""}) if failed else table


def markdown(board: pd.DataFrame) -> str:
    """Leaderboard as a Markdown table: `AUROC / FPR95` per set in percent, the best bold."""
    columns = _columns(board, "**{}**", _md)
    wide = [max(3, *map(len, (c.header, *c.cells))) for c in columns]
    rule = ["-" * w if c.left else "-" * (w - 1) + ":" for c, w in zip(columns, wide, strict=True)]
    lines = [
        " | ".join(
            cell.ljust(w) if c.left else cell.rjust(w)
            for cell, c, w in zip(cells, columns, wide, strict=True)
        )
        for cells in [[c.header for c in columns], rule, *_rows(columns)]
    ]
    return "".join(f"| {line} |\n" for line in lines)


def latex(board: pd.DataFrame) -> str:
    r"""Leaderboard as a LaTeX table (needs the booktabs package), the best of each column bold."""
    columns = _columns(board, r"\textbf{{{}}}", _tex)
    aligned = "".join("l" if c.left else "r" for c in columns)
    lines = [" & ".join(cells) + r" \\" for cells in [[c.header for c in columns], *_rows(columns)]]
    return "\n".join(
        [rf"\begin{{tabular}}{{{aligned}}}", r"\toprule", lines[0], r"\midrule", *lines[1:],
         r"\bottomrule", r"\end{tabular}", ""]
    )  # fmt: skip


class _Column(NamedTuple):
    """A column of text: words on the left, figures on the right."""

    header: str
    cells: list[str]
    left: bool


def _columns(board: pd.DataFrame, bold: str, escape: Callable[[str], str]) -> list[_Column]:
    """The board as text; `bold` marks the best AUROC and the best FPR95 of each set.

    Layers are left out where they are all the same, parameters where detector and layer already
    tell the rows apart (results.csv has them).
    """
    telling = ["detector"]
    if board["layer"].nunique() > 1:
        telling.append("layer")
    if board.duplicated(telling).any():
        telling.append("params")

    def words(name: str) -> _Column:
        return _Column(name, [escape(v) for v in board[name]], left=True)

    columns = [words(name) for name in telling]
    for name in (c.removesuffix(" auroc") for c in board.columns if c.endswith(" auroc")):
        areas = _percent(board[f"{name} auroc"], max, bold)
        rates = _percent(board[f"{name} fpr95"], min, bold)
        cells = [_NONE if a == _NONE else f"{a} / {r}" for a, r in zip(areas, rates, strict=True)]
        columns.append(_Column(escape(name), cells, left=False))
    if "seconds" in board:
        seconds = [_NONE if math.isnan(v) else f"{v:.2f}" for v in board["seconds"]]
        columns.append(_Column("seconds", seconds, left=False))
    return [*columns, words("error")] if "error" in board else columns


def _rows(columns: Sequence[_Column]) -> list[tuple[str, ...]]:
    return list(zip(*(c.cells for c in columns), strict=True))


_NONE = "-"
"""Cell of a figure that a detector which could not run does not have."""


def _percent(values: pd.Series, best: Callable[..., float], bold: str) -> list[str]:
    there = [v for v in values if not math.isnan(v)]
    top = f"{100 * best(there):.2f}" if there else ""
    texts = (_NONE if math.isnan(v) else f"{100 * v:.2f}" for v in values)
    return [bold.format(t) if t == top else t for t in texts]


def _md(text: str) -> str:
    """One cell of a Markdown table: neither its bar nor the end of its line may be in it."""
    return in_markdown(" ".join(text.split()))


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in shown(" ".join(text.split())))


_TEX = {c: "\\" + c for c in "&%_#${}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip

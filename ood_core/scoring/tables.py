"""Tidy tables of results, and how they are printed: Markdown, LaTeX. FPR95 has ID positive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ood_core.scoring.params import params_text
from ood_core.scoring.score_set import ScoreSet

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "latex", "markdown", "tidy"]

COLUMNS = (
    "detector", "params", "layer", "id_set", "ood_set", "auroc", "auroc_low", "auroc_high",
    "fpr95", "fpr95_low", "fpr95_high", "aupr_in", "aupr_out", "n_id", "n_ood",
)  # fmt: skip
"""Columns of results.csv: rates in 0-1, intervals at 95 %, FPR95 with ID positive."""


def tidy(score_sets: Sequence[ScoreSet]) -> pd.DataFrame:
    """One row per score set and OOD set, the columns of results.csv."""
    import pandas as pd

    rows = []
    for s in score_sets:
        for name in s.ood:
            known = {
                "detector": s.detector,
                "params": params_text(s.params),
                "layer": s.layer,
                "id_set": s.id_name,
                "ood_set": name,
            }
            figures = s.evaluate(name)
            rows.append(known | {c: getattr(figures, c) for c in COLUMNS[5:]})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def markdown(board: pd.DataFrame) -> str:
    """Leaderboard as a Markdown table: `AUROC / FPR95` per set in percent, the best bold."""
    header, rows = _cells(board, "**{}**", str)
    texts = header.count("detector") + header.count("params") + header.count("layer")
    wide = [max(3, *map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * w if i < texts else "-" * (w - 1) + ":" for i, w in enumerate(wide)]
    lines = [
        " | ".join(
            c.ljust(w) if i < texts else c.rjust(w)
            for i, (c, w) in enumerate(zip(cells, wide, strict=True))
        )
        for cells in [header, rule, *rows]
    ]
    return "".join(f"| {line} |\n" for line in lines)


def latex(board: pd.DataFrame) -> str:
    r"""Leaderboard as a LaTeX table (needs the booktabs package), the best of each column bold."""
    header, rows = _cells(board, r"\textbf{{{}}}", _tex)
    texts = header.count("detector") + header.count("params") + header.count("layer")
    columns = "l" * texts + "r" * (len(header) - texts)
    lines = [" & ".join(cells) + r" \\" for cells in [[_tex(h) for h in header], *rows]]
    return "\n".join(
        [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:],
         r"\bottomrule", r"\end{tabular}", ""]
    )  # fmt: skip


def _cells(
    board: pd.DataFrame, bold: str, escape: Callable[[str], str]
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text; `bold` marks the best AUROC and the best FPR95 of each set.

    Layers are left out where they are all the same, parameters where detector and layer already
    tell the rows apart (results.csv has them).
    """
    telling = ["detector"]
    if board["layer"].nunique() > 1:
        telling.append("layer")
    if board.duplicated(telling).any():
        telling.append("params")
    columns = {name: [escape(v) for v in board[name]] for name in telling}
    for name in (c.removesuffix(" auroc") for c in board.columns if c.endswith(" auroc")):
        areas = _percent(board[f"{name} auroc"], max, bold)
        rates = _percent(board[f"{name} fpr95"], min, bold)
        columns[name] = [f"{a} / {r}" for a, r in zip(areas, rates, strict=True)]
    if "seconds" in board:
        columns["seconds"] = [f"{v:.2f}" for v in board["seconds"]]
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def _percent(values: pd.Series, best: Callable[..., float], bold: str) -> list[str]:
    top = f"{100 * best(values):.2f}"
    return [bold.format(t) if t == top else t for t in (f"{100 * v:.2f}" for v in values)]


def _tex(text: str) -> str:
    for plain in "&%_#$":
        text = text.replace(plain, "\\" + plain)
    return text

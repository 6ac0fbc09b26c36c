"""A table as it leaves: every CSV file that OOD Lens writes is written here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ood_core.runtime.names import in_utf8

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["csv_text"]


def csv_text(table: pd.DataFrame) -> str:
    """The table as CSV, without its index.

    `pandas.read_csv` reads it back with its defaults: names of detectors and scores are none of
    the words, "nan" among them, that programs take for a missing value.
    """
    return in_utf8(str(table.to_csv(index=False)))

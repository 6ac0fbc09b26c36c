"""Every CSV that leaves, from pages and commands, is read by a plain `pandas.read_csv`."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from ood_core import load_experiment
from ood_core.commands import _main as cli
from ood_core.export.csv_file import csv_text
from ood_core.theory import background, lab
from pages.components.charts import figures
from pages.components.kit import cache

ROOT = Path(__file__).parents[2]
REGION = "-1e6,-1e6 1e6,-1e6 1e6,1e6 -1e6,1e6"
VISITS: tuple[tuple[str, dict[str, str]], ...] = (
    ("Overview", {}),
    ("2_Detectors", {"tab": "board"}),
    ("2_Detectors", {"tab": "sweep"}),
    ("2_Detectors", {"tab": "compare"}),
    ("3_Layers", {"layers_entropy": "layer"}),
    ("3_Layers", {"layers_entropy": "depth"}),
    *(("4_Neurons", {"neurons_view": view}) for view in ("mean", "one", "without", "image")),
    ("5_Score_images", {}),
    ("6_Why_it_works", {}),
    ("7_Export", {}),
    ("8_Map", {"region": REGION}),
    ("9_Compare", {}),
)
"""Pages and views that between them reach every download: held against the pages' source."""
HEADLESS: tuple[tuple[str, dict[str, str]], ...] = (
    *(("4_Neurons", {"neurons_view": view}) for view in ("mean", "one")),
    ("5_Score_images", {}),
)
"""Further visits, of a network without a head, where the pages differ."""
COMMANDS = {
    "benchmark.py": ["benchmark", "digits"],
    "theory.py": ["theory", "digits", "--per-set", "50"],
}
"""Commands that write a CSV file with --out: held against their source."""


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def _offers_csv(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    with_data = any(word.arg == "data" for word in call.keywords)
    return name == "figures.csv_button" or (name == "figures.show" and with_data)


def _places() -> list[tuple[str, int, int]]:
    """(file, first line, last line) of every call on a page that offers a CSV file."""
    return [
        (str(path), call.lineno, call.end_lineno or call.lineno)
        for path in sorted((ROOT / "pages").rglob("*.py"))
        for call in _calls(path)
        if _offers_csv(call)
    ]


def _read_plainly(text: str, table: pd.DataFrame | None = None) -> pd.DataFrame:
    """What pandas reads, where no text that was written may be missing."""
    found = pd.read_csv(io.StringIO(text))
    whole = pd.read_csv(io.StringIO(text), keep_default_na=False, dtype=str)
    assert list(found) == list(whole)
    given = (whole if table is None else table).reset_index(drop=True)
    for place, column in enumerate(found):
        cells = given.iloc[:, place]
        texts = cells.map(lambda v: isinstance(v, str) and v != "")
        lost = texts & found.iloc[:, place].isna()
        assert not lost.any(), (column, set(cells[lost]))
    return found


def _made_up_lab() -> Any:
    path = ROOT / "tests" / "theory" / "lab_tables.py"
    spec = importlib.util.spec_from_file_location("lab_tables", path)
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    return tables.made_up()


@pytest.fixture
def ready(digits_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`digits` prepared, beside a second experiment, and a lab that has run."""
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    st.cache_resource.clear()
    digits = load_experiment("digits")
    other = dataclasses.replace(digits, name="others", title="others")
    monkeypatch.setattr(cache, "experiments", lambda: [digits, other])
    results = _made_up_lab()
    monkeypatch.setattr(lab, "finished", lambda runs=None: lab.full_plan())
    monkeypatch.setattr(lab, "load_results", lambda: results)
    monkeypatch.setattr(background, "find_lab", lambda: None)


def _visit(page: str, address: dict[str, str]) -> None:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in address.items():
        at.query_params[name] = value
    if page != "Overview":
        at.switch_page(f"pages/{page}.py")
    at.run()
    if page == "5_Score_images":
        at.button(key="take_examples").click()
        at.run()
    for _ in range(200 * (address.get("tab") == "sweep")):
        if at.get("plotly_chart"):
            break
        time.sleep(0.1)
        at.run()
    assert not at.exception, [e.value for e in at.exception]


def test_every_csv_of_every_page_is_read_plainly(
    ready: None, home_without_classes: Path, monkeypatch: Any
) -> None:
    offered: list[tuple[str, int]] = []
    scores: set[str] = set()
    real = figures.csv_button

    def record(data: Any, name: str, key: str) -> None:
        frame: Any = sys._getframe(1)
        while frame.f_code.co_filename == figures.__file__:
            frame = frame.f_back
        offered.append((frame.f_code.co_filename, frame.f_lineno))
        table = data() if callable(data) else data
        found = _read_plainly(csv_text(table), table)
        for column in {"score", "detector"} & set(found):
            if found[column].dtype.kind not in "if":
                scores.update(found[column])
        real(data, name, key)

    monkeypatch.setattr(figures, "csv_button", record)
    for page, address in VISITS:
        _visit(page, address)
    monkeypatch.setenv("OOD_LENS_HOME", str(home_without_classes))
    monkeypatch.setattr(cache, "experiments", lambda: [load_experiment("headless")])
    for page, address in HEADLESS:
        _visit(page, address)
    missed = [
        f"{Path(file).relative_to(ROOT)}:{first}"
        for file, first, last in _places()
        if not any(file == path and first <= line <= last for path, line in offered)
    ]
    assert not missed, f"no visit reaches the CSV of {', '.join(missed)}: add one to VISITS"
    assert "negative_aware_norm" in scores
    assert not {s for s in scores if s.lower() == "nan"}


@pytest.mark.parametrize("file", COMMANDS)
def test_every_csv_of_every_command_is_read_plainly(
    digits_home: Path, file: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    out = tmp_path / "table.csv"
    assert cli.main([*COMMANDS[file], "--out", str(out), "--quiet"]) == 0
    found = _read_plainly(out.read_text(encoding="utf-8"))
    names = set(found.get("detector", ()))
    assert file != "benchmark.py" or {"negative_aware_norm", "negative_aware_norm+knn"} <= names


def test_csv_files_are_written_in_one_place() -> None:
    """What the tests above look at is all there is."""
    writers, offers, commands = set(), set(), set()
    for path in [*(ROOT / "ood_core").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]:
        name = path.relative_to(ROOT).as_posix()
        for call in _calls(path):
            function = ast.unparse(call.func)
            writers |= {name} if function.endswith((".to_csv", "csv.writer")) else set()
            if function == "csv_text" and name.startswith("ood_core/commands/"):
                commands.add(path.name)
        offers |= {name} if "text/csv" in path.read_text(encoding="utf-8") else set()
    assert writers == {"ood_core/export/csv_file.py"}
    assert offers == {"pages/components/charts/figures.py"}
    assert commands == set(COMMANDS)


def test_a_missing_name_is_noticed() -> None:
    with pytest.raises(AssertionError, match="nan"):
        _read_plainly("detector,auroc\nnan,0.5\nknn,0.6\n")

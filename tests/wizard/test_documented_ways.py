"""The walks of docs/bring-your-own.md, done as they are written: code blocks, then commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ood_core.commands import _main as cli
from tests.wizard.conftest import write_set

DOCUMENT = Path(__file__).parents[2] / "docs" / "bring-your-own.md"
SECTIONS = dict(
    re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", DOCUMENT.read_text("utf-8"), re.M | re.S)
)
CLASSES = 3
FASTER = {
    "new": ("--force", "--check", "0"),
    "benchmark": ("--detectors", "feature_norm,nan,ssd,mahalanobis"),
}
"""Options beside those that are written: one walk may come twice, and images are few."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the images that the walks take for given."""
    write_set(tmp_path / "train", 8)
    write_set(tmp_path / "test", 5)
    write_set(tmp_path / "drawings", 12, ())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def network(classes: int = CLASSES) -> Any:
    """A small trained network; its weights are of chance."""
    from ood_core.models.architectures import build
    from ood_core.models.fitting import randomise

    return randomise(lambda: build("resnet20", classes), 0).eval()


def _a_state_dict(_: Path) -> dict[str, Any]:
    import torch

    torch.save(network().state_dict(), "best.pt")
    return {}


def _encoder(_: Path) -> dict[str, Any]:
    """As contrastive training leaves it: no head."""
    import torch

    state = network().state_dict()
    torch.save({k: v for k, v in state.items() if not k.startswith("linear.")}, "encoder.pt")
    return {}


WAYS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "A state dict": _a_state_dict,
    "An encoder without classes": _encoder,
}
"""Section -> what its reader has; returns the names that its Python takes for given."""


@pytest.mark.slow
@pytest.mark.parametrize("section", WAYS)
def test_the_walk_reaches_figures(section: str, here: Path, capsys) -> None:
    text = SECTIONS[section]
    given = WAYS[section](here)
    for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
        exec(compile(block, DOCUMENT.name, "exec"), given)
    commands = re.findall(r"^    python -m ood_core (.+)$", text, re.M)
    tables = 0
    for line in commands:
        words = shlex.split(line)
        status = cli.main([*words, "--quiet", *FASTER.get(words[0], ())])
        out, err = capsys.readouterr()
        assert status == 0, f"{line}\n{out}\n{err}"
        if words[0] == "benchmark":
            rows = [row for row in out.splitlines() if row.startswith("|")][2:]
            assert len(rows) == 4
            assert not any("error" in row for row in rows)
            tables += 1
    assert tables


def test_every_row_of_the_table_leads_to_a_walk_that_is_done_here() -> None:
    table = DOCUMENT.read_text("utf-8").partition("## ")[0]
    rows = re.findall(r"^\|(?!--)(.+)\|$", table, re.M)[1:]
    linked = {anchor for row in rows for anchor in re.findall(r"\]\(#([\w-]+)\)", row)}
    names = {re.sub(r"[^\w -]", "", name).lower().replace(" ", "-"): name for name in SECTIONS}
    assert len(rows) == len(linked) == 11
    assert linked <= set(names)
    assert set(WAYS) <= set(names.values())

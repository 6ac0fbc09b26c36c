"""The walks of docs/bring-your-own.md, done as they are written: code blocks, then commands."""

from __future__ import annotations

import re
import shlex
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
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
SETS = ("--fit", "train", "--test", "test")


def blocks(section: str) -> list[str]:
    """The Python of a section, block by block."""
    return re.findall(r"^```python\n(.*?)^```", SECTIONS[section], re.M | re.S)


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


def _own_network(_: Path) -> dict[str, Any]:
    """The class of the document, trained; pickled whole where the walk begins with that."""
    import torch

    (code,) = (block for block in blocks("A network of your own") if block.startswith("# my_net"))
    Path("my_net.py").write_text(code)
    made: dict[str, Any] = {"__name__": "my_net"}
    exec(compile(code, "my_net.py", "exec"), made)
    torch.manual_seed(0)
    return {"model": made["MyNet"](32, CLASSES).eval()}


def _pickled(here: Path) -> dict[str, Any]:
    """Its class can be imported where the lines run, and there alone."""
    import torch

    model = _own_network(here)["model"]
    sys.modules["my_net"] = types.ModuleType("my_net")
    sys.modules["my_net"].MyNet = type(model)  # type: ignore[attr-defined]
    torch.save(model, "whole.pt")
    sys.modules.pop("my_net")
    assert cli.main(["new", "whole", "--checkpoint", "whole.pt", *SETS, "--quiet"]) == 1
    sys.modules["my_net"] = types.ModuleType("my_net")
    sys.modules["my_net"].MyNet = type(model)  # type: ignore[attr-defined]
    return {}


def _folder(_: Path) -> dict[str, Any]:
    pytest.importorskip("transformers")
    from tests.models.huggingface_folders import saved

    saved(Path("vit"), "ViT", "ForImageClassification")
    return {}


def _zero_shot(here: Path) -> dict[str, Any]:
    """A network of images and texts, with tokens of chance for its texts, and a probed encoder."""
    pytest.importorskip("transformers")
    import torch

    from tests.models.huggingface_folders import saved

    def processor(text: list[str], **_: Any) -> dict[str, Any]:
        return {"input_ids": torch.arange(1, 1 + 4 * len(text)).reshape(len(text), 4)}

    clip = saved(here / "clip-made", "CLIP", "Model", labels=None)
    processor.save_pretrained = lambda folder: None  # type: ignore[attr-defined]
    probe = types.SimpleNamespace(coef_=np.eye(CLASSES, 64), intercept_=np.zeros(CLASSES))
    names = ["cat", "dog", "horse"]
    return {"clip": clip, "processor": processor, "names": names, "probe": probe, **_encoder(here)}


def _features(_: Path) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {"w": rng.normal(size=(CLASSES, 12)), "b": np.zeros(CLASSES)}
    for name, n in (("fit", 30), ("test", 15), ("other", 20)):
        found[f"y_{name}"] = np.arange(n) % CLASSES
        centre = 4 * np.eye(12)[found[f"y_{name}"]] if name != "other" else 0
        found[f"h_{name}"] = (rng.normal(size=(n, 12)) + centre).astype(np.float32)
        found[f"said_{name}"] = [f"sentence {i}" for i in range(n)]
    return found


def _unlabelled(here: Path) -> dict[str, Any]:
    write_set(here / "photos", 24, ())
    write_set(here / "more-photos", 15, (), seed=1)
    return _a_state_dict(here)


WAYS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "A state dict": _a_state_dict,
    "A network of your own": _own_network,
    "A whole pickled module": _pickled,
    "TorchScript, torch.export, ONNX": _own_network,
    "A folder from a model hub": _folder,
    "An encoder without classes": _encoder,
    "Zero-shot heads and linear probes": _zero_shot,
    "Features": _features,
    "Features of anything": _features,
    "Without labels": _unlabelled,
    "One class": _encoder,
}
"""Section -> what its reader has; returns the names that its Python takes for given."""


@pytest.mark.slow
@pytest.mark.parametrize("section", WAYS)
def test_the_walk_reaches_figures(section: str, here: Path, capsys) -> None:
    text = SECTIONS[section]
    given = WAYS[section](here)
    for block in blocks(section):
        if not block.startswith("# "):  # a file, which is there already
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what exports
                exec(compile(block, DOCUMENT.name, "exec"), given)
    sys.modules.pop("my_net", None)
    commands = re.findall(r"^    python -m ood_core (.+)$", text, re.M)
    tables = 0
    for line in commands:
        words = shlex.split(line)
        status = cli.main([words[0], *FASTER.get(words[0], ()), "--quiet", *words[1:]])
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
    assert {names[anchor] for anchor in linked} == set(WAYS)

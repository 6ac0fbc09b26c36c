"""docs/extending.md, followed word for word from outside the repository."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ood_core.detectors import (
    all_detectors,
    broken_plugins,
    discovery,
    exportable,
    make_detector,
)
from ood_core.detectors.contract import check_detector

DOC = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The documented package as an installer leaves it: module and dist-info on the path."""
    text = DOC.read_text(encoding="utf-8")
    text = text.split("\n## A package with one detector\n")[1].split("\n## ")[0]
    (source,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    project = tomllib.loads(toml)["project"]
    (tmp_path / "class_cosine.py").write_text(source, encoding="utf-8")
    info = tmp_path / f"class_cosine-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    discovery.forget()
    yield
    sys.modules.pop("class_cosine", None)
    discovery.forget()


def test_the_documented_detector_holds_to_the_contract(installed):
    assert broken_plugins() == {}
    assert all_detectors()["class_cosine"].title == "Class cosine"
    assert [r for r in check_detector("class_cosine") if not r.passed] == []


def test_the_documented_detector_scores(installed, small):
    detector = make_detector("class_cosine", power=2).fit(small.fit)
    scores = detector.score_samples(small.test)
    assert scores[3] == 0
    assert detector.warnings_ == ["1 of 20 images of 'test' have only zero features."]


def test_the_documented_detector_can_be_exported(installed, small):
    import torch

    assert "class_cosine" in exportable()
    detector = make_detector("class_cosine", power=2).fit(small.fit)
    with torch.no_grad():
        found = detector.torch_form()(torch.tensor(small.h), torch.tensor(small.z))
    np.testing.assert_allclose(found.numpy(), detector.score_samples(small.test), rtol=1e-12)


def test_the_names_that_the_page_mentions_exist():
    import ood_core.detectors as detectors
    from ood_core.detectors import base, constraints, declarations, torch_form

    text = DOC.read_text(encoding="utf-8")
    for name in ("Number", "Choice", "Flag", "LayerName"):
        assert f"`{name}`" in text
        assert hasattr(constraints, name)
    assert all(f'`"{need}"`' in text for need in declarations.NEEDS)
    assert hasattr(detectors, "FAMILIES")
    for name in ("torch_module", "memory_bound", "CHUNK"):
        assert name in text
        assert hasattr(torch_form, name)
    for attribute in (
        "sweep",
        "layerwise",
        "nonnegative",
        "family",
        "fusion_role",
        "_warn",
        "_torch_form",
    ):
        assert attribute in text
        assert hasattr(base.Detector, attribute)

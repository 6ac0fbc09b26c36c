"""Every key of an experiment file is documented, and the documented example is one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from ood_core.experiments import parse_experiment
from ood_core.experiments.experiment import ClassifierSpec, Preprocessing
from ood_core.experiments.sources import SET_KINDS

DOCS = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text("utf-8")
KEYS = {
    *SET_KINDS,
    *(key for kind in SET_KINDS.values() for key in kind.options),
    *ClassifierSpec.__dataclass_fields__,
    *Preprocessing.__dataclass_fields__,
    *("name", "title", "description", "near", "fit", "test"),
}


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_is_documented(key: str) -> None:
    assert re.search(rf"(^|[`{{\s]){key}(`| = )", DOCS, re.MULTILINE)


@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL))
def test_examples_are_read(block: str) -> None:
    values = tomllib.loads(block)
    values.setdefault("name", "example")
    values.setdefault("classifier", {"architecture": "resnet20", "random_weights": 0})
    assert parse_experiment(values, strict=False).sets

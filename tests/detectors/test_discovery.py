"""Finding detectors: files, fusions, plug-ins good and broken."""

from __future__ import annotations

import importlib
import sys
import textwrap

import pytest

from ood_core.detectors import (
    FAMILIES,
    all_detectors,
    broken_plugins,
    by_canonical_name,
    canonical_name,
    detector_class,
    discovery,
    make_detector,
)
from ood_core.detectors.contract import check_detector
from ood_core.errors import ConfigError

PLUGIN = '''
from typing import ClassVar

import numpy as np

from ood_core import Detector


class Median(Detector):
    """Median activation: `S = median(h)`."""

    name = "{name}"
    title = "Median"
    summary = "The median of the features."
    equation = r"S(x) = h"
    reference = "an example"
    needs: ClassVar[frozenset[str]] = frozenset({{"fit"}})

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift

    def _fit(self, acts, head):
        self.scale_ = float(acts.features.std()) or 1.0

    def _score(self, acts):
        return np.median(acts.features, axis=1) / self.scale_ + self.shift
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with entry points of the detectors' group, for one test."""
    names = []

    def add(package: str, source: str, **points: str) -> None:
        (tmp_path / f"{package}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[ood_core.detectors]", *lines]))
        names.append(package)
        discovery.forget()

    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield add
    for name in names:
        sys.modules.pop(name, None)
    discovery.forget()


def test_lists_are_grouped_by_family_in_order():
    families = [cls.family for cls in all_detectors().values()]
    assert families == sorted(families, key=FAMILIES.index)
    assert all(name == cls.name for name, cls in all_detectors().items())


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(
        ConfigError, match=r"unknown detector 'enrgy'. Did you mean 'energy'\? Avail"
    ):
        make_detector("enrgy")


def test_a_plugin_takes_part_like_any_other(install):
    install("ood_median", PLUGIN.format(name="median"), median="ood_median:Median")
    assert all_detectors()["median"].family == "Plug-ins"
    assert make_detector("median", shift=2.0).get_params() == {"shift": 2.0}
    failed = {r.check for r in check_detector("median") if not r.passed}
    assert "scores do not depend on the batch" not in failed
    assert broken_plugins() == {}


def test_a_broken_plugin_is_told_and_does_no_harm(install, caplog):
    install("ood_broken", "raise OSError('no such table')", broken="ood_broken:Thing")
    install("ood_other", "class Thing: pass", other="ood_other:Thing", gone="ood_other:Gone")
    untitled = PLUGIN.format(name="untitled").replace("title = ", "heading = ")
    install("ood_untitled", untitled, untitled="ood_untitled:Median")
    install("ood_twin", PLUGIN.format(name="knn"), twin="ood_twin:Median")
    told = broken_plugins()
    assert set(told) == {"broken", "other", "gone", "untitled", "twin"}
    assert "must declare title: a string each" in told["untitled"]
    assert "OSError: no such table" in told["broken"]
    assert "must be a subclass of ood_core.Detector" in told["other"]
    assert "the name 'knn' of Median is taken by the detector 'knn'" in told["twin"]
    assert "plug-in broken is left out" in caplog.text
    assert "line" in all_detectors()
    assert all_detectors()["knn"].__module__ == "ood_core.detectors.knn"
    with pytest.raises(
        ConfigError, match=r"'broken' is a plug-in that cannot be used.*no such table"
    ):
        make_detector("broken")


ALIASED = PLUGIN.replace('title = "Median"', 'aliases = {aliases}\n    title = "Median"')


def test_an_alias_is_accepted_and_never_listed():
    assert detector_class("nan") is all_detectors()["negative_aware_norm"]
    assert "nan" not in all_detectors()
    assert canonical_name("nan") == "negative_aware_norm"
    assert canonical_name("knn+nan") == "negative_aware_norm+knn"
    for unknown in ("nam", "nan+msp", "pytorch_ood:none", ""):
        assert canonical_name(unknown) == unknown


def test_what_is_given_by_detector_is_given_once():
    given = {"nan": 1, "knn+nan": 2, "nope": 3}
    assert by_canonical_name(given) == {
        "negative_aware_norm": 1, "negative_aware_norm+knn": 2, "nope": 3,
    }  # fmt: skip
    with pytest.raises(
        ConfigError,
        match=r"'nan' and 'negative_aware_norm' are both given, and are the same detector",
    ):
        by_canonical_name({"nan": 1, "negative_aware_norm": 1})


def test_a_plugin_may_have_aliases(install):
    source = ALIASED.format(name="median", aliases='("middle",)')
    install("ood_median", source, median="ood_median:Median")
    assert detector_class("middle") is all_detectors()["median"]
    assert "middle" not in all_detectors()


@pytest.mark.parametrize(
    ("name", "aliases", "message"),
    [
        ("median", '("knn",)', "the name 'knn' of Median is taken by the detector 'knn'"),
        ("median", '("nan",)', "'nan' of Median is taken by the detector 'negative_aware_norm'"),
        ("nan", "()", "'nan' of Median is taken by the detector 'negative_aware_norm'"),
        ("median", '"nan"', "aliases must be a tuple of names, got 'nan'"),
    ],
)
def test_a_clash_of_names_is_told(install, name, aliases, message):
    install("ood_clash", ALIASED.format(name=name, aliases=aliases), clash="ood_clash:Median")
    assert message in broken_plugins()["clash"]
    assert detector_class("nan").__module__ == "ood_core.detectors.negative_aware_norm"


def test_a_subclass_does_not_inherit_aliases(install):
    source = """
        from ood_core.detectors.negative_aware_norm import NegativeAwareNorm

        class Mine(NegativeAwareNorm):
            name = "mine"
    """
    install("ood_mine", source, mine="ood_mine:Mine")
    assert not broken_plugins()
    assert detector_class("nan").name == "negative_aware_norm"
    assert detector_class("mine").name == "mine"


def test_a_plugin_distance_can_be_fused(install):
    source = PLUGIN.format(name="median").replace(
        'title = "Median"', 'title = "Median"\n    fusion_role = "distance"'
    )
    install("ood_median", source, median="ood_median:Median")
    assert detector_class("nan+median").defaults()["shift"] == 0.0


def test_nothing_heavy_is_imported():
    import subprocess

    code = (
        "import sys, ood_core.detectors as d; d.all_detectors(); "
        "print(*(m for m in ('torch', 'sklearn', 'scipy', 'pandas', 'pytorch_ood') "
        "if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

"""Torch forms: against golden scores, their memory at real sizes, and what is told without one."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import all_detectors, exportable, make_detector
from ood_core.detectors.contract import check_detector
from ood_core.detectors.torch_form import CHUNK, Exportable, memory_bound, torch_module
from ood_core.errors import ConfigError, NotFittedError
from ood_core.models import ClassifierHead

FORMS = "msp max_logit energy kl gen gradnorm feature_norm sparsity react dice react_dice ash_p"
MORE = (
    "negative_aware_norm ash_b ash_s scale line mahalanobis ssd knn residual vim fdbd she nnguide "
    "mcm"
)


def scores_of(form, acts):
    import torch

    with torch.no_grad():
        return form(torch.tensor(acts.features), torch.tensor(acts.logits)).numpy()


def test_every_exportable_detector_of_the_design_is_found():
    assert exportable() == tuple(sorted(f"{FORMS} {MORE}".split()))
    assert set(exportable()) <= set(all_detectors())


@pytest.mark.parametrize("name", exportable())
def test_the_form_equals_the_golden_scores(golden, name):
    params = {"knn": {"k": 5}, "nnguide": {"k": 5}}.get(name, {})
    fit, test = golden.activations(np.float64)
    fitted = make_detector(name, **params)
    own = 1.0 if "zero_shot" in fitted.needs else None  # as if the logits were cosines
    fitted.fit(fit, dataclasses.replace(golden.head, temperature=own))
    expected = fitted.score_samples(test)
    np.testing.assert_allclose(scores_of(fitted.torch_form(), test), expected, rtol=1e-9, atol=1e-9)


def test_what_cannot_be_exported_is_told(small):
    acts = Activations.from_arrays(
        small.h_fit, small.z_fit, small.labels, layers={"early": small.h_fit}
    )
    fusion = make_detector("nan+knn", k=3).fit(acts, small.head)
    with pytest.raises(
        ConfigError, match=r"norm\+knn' cannot be exported.*no torch form.*exportable"
    ):
        fusion.torch_form()
    early = make_detector("nan", layer="early").fit(acts, small.head)
    with pytest.raises(
        ConfigError, match=r"reads layer 'early'; .*penultimate.* Leave out the layer"
    ):
        early.torch_form()
    with pytest.raises(NotFittedError, match="'knn' is not fitted"):
        make_detector("knn").torch_form()


def test_export_tells_before_it_scores(tmp_path):
    from ood_core.export import export

    with pytest.raises(
        ConfigError, match=r"'nan\+knn' cannot be exported\. Exportable: ash_b, ash"
    ):
        export(None, "nan+knn", tmp_path / "a.pt2")


def test_arrays_become_buffers_once():
    import torch

    mask, mean = np.array([True, False]), np.ones(2, np.float32)
    form = torch_module(lambda h, z, mask, mean: (h * mask - mean).sum(1), mask=mask, mean=mean)
    mean += 1  # a copy: the detector may be fitted again
    assert {k: v.dtype for k, v in form.named_buffers()} == {
        "mask": torch.bool,
        "mean": torch.float64,
    }
    assert form(torch.full((1, 2), 3.0, dtype=torch.float64), None).tolist() == [1.0]


def wide(n, d, c, seed=0):
    """Fit set of n rows, 64 test rows and a head, of real sizes."""
    rng = np.random.default_rng(seed)
    head = ClassifierHead(rng.normal(size=(c, d)) / np.sqrt(d), rng.normal(size=c))
    labels = np.arange(n) % c
    h = np.maximum(rng.normal(size=(n, d)) + 2 * head.weight[labels], 0)
    new = h[:64] * rng.uniform(0.5, 1.5, size=(64, 1)) + 0.1 * rng.random((64, d))
    return (
        head,
        Activations.from_arrays(h, head.logits(h), labels),
        Activations.from_arrays(new, head.logits(new)),
    )


def held(form, acts):
    import torch

    from ood_core.detectors._torch_memory import peak_bytes

    return peak_bytes(form, torch.tensor(acts.features), torch.tensor(acts.logits))


@pytest.mark.parametrize("k", [1, 50, 1000])
def test_neighbours_in_a_bank_of_5000_by_512(k):
    head, fit, test = wide(5000, 512, 10)
    for name in ("knn", "nnguide"):
        fitted = make_detector(name, k=k).fit(fit, head)
        form = fitted.torch_form()
        np.testing.assert_allclose(scores_of(form, test), fitted.score_samples(test), rtol=1e-9)
        # Before, 64 images took 64 x 5000 x 512 values: 1.3 GB.
        assert held(form, test) <= memory_bound(64, 512, 10) < 13e6


@pytest.mark.parametrize("name", ["line", "she", "fdbd", "ssd", "vim", "ash_s", "gen"])
def test_the_head_of_imagenet(name):
    head, fit, test = wide(2000, 1280, 1000)
    fitted = make_detector(name).fit(fit, head)
    form = fitted.torch_form()
    found, expected = scores_of(form, test), fitted.score_samples(test)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    # Before, LINe built 64 x 1000 x 1280 values: 655 MB.
    assert held(form, test) <= memory_bound(64, 1280, 1000) < 20e6


def test_memory_is_counted_until_the_last_view_of_it_goes():
    import torch

    from ood_core.detectors._torch_memory import peak_bytes

    x = torch.zeros(1000, dtype=torch.float64)

    def kept(h, z):
        parts = [(h + i)[:1] for i in range(5)]  # five arrays, each held by a view
        return sum(parts)

    def dropped(h, z):
        return sum((h + i).sum() for i in range(5))

    assert peak_bytes(torch_module(lambda h, z: h[:10]), x, x) == 0
    assert peak_bytes(torch_module(lambda h, z: z + h), x, x) == 8000
    assert 40_000 <= peak_bytes(torch_module(kept), x, x) < 48_000
    assert 8000 <= peak_bytes(torch_module(dropped), x, x) < 24_000


BROKEN = {
    "its torch form gives the same scores, ties and an all-zero image too": (
        lambda h, z: h.sum(1) + (h.sum(1) == 0),
        "row 17",
    ),
    "its torch form takes one image and many": (lambda h, z: h.sum(1) - h.mean() * 0.01, "1 at a"),
    "its torch form can be exported for any number of images": (
        lambda h, z: h.sum(1) if float(h.sum()) > 0 else h.sum(1) * 1,
        "item|data-dependent",
    ),
    "its torch form keeps to its memory": (
        lambda h, z: (h[:, None, :] * z[:, :, None]).sum((1, 2)) * 0 + h.sum(1),
        r"for 16 images of 240 features and 240 classes, fitted on 4,800; it holds 7,\d\d\d,\d\d\d",
    ),
}


@pytest.mark.parametrize("check", BROKEN)
def test_the_suite_names_what_a_form_breaks(check):
    from tests.detectors.test_contract import Sloppy

    score, message = BROKEN[check]
    broken = type("Broken", (Sloppy,), {"_torch_form": lambda self: torch_module(score)})
    failed = {r.check: r.message for r in check_detector(broken) if not r.passed}
    sound = type(
        "Sound", (Sloppy,), {"_torch_form": lambda self: torch_module(lambda h, z: h.sum(1))}
    )
    assert not {r.check for r in check_detector(sound) if not r.passed} & set(BROKEN)
    assert check in failed
    assert re.search(message, failed[check])


def test_a_form_is_one_method():
    assert not make_detector("odin").has_torch_form()
    assert Exportable.has_torch_form() is False
    assert CHUNK == 4096

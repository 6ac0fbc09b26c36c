"""One image before and after LINe, against the published layer written out naively."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.errors import DataError
from ood_core.models import ClassifierHead
from ood_core.neurons import image_receipt
from tests.neurons.oracles import contributions

C, D = 5, 20
RNG = np.random.default_rng(2)
HEAD = ClassifierHead(RNG.normal(size=(C, D)), RNG.normal(size=C))
FIT = Activations.from_arrays(
    np.maximum(RNG.normal(0.3, 1, size=(90, D)), 0), labels=np.arange(90) % C
)


@pytest.mark.parametrize(("p_a", "p_w", "clip"), [(90, 90, 1.0), (10, 10, 0.8), (0, 50, 1e5)])
def test_receipt_equals_the_written_out_layer(p_a: float, p_w: float, clip: float) -> None:
    line = make_detector("line", p_a=p_a, p_w=p_w, clip=clip).fit(FIT, HEAD)
    contrib = contributions(FIT, HEAD)
    for h in FIT.features[:6]:
        receipt = image_receipt(line, HEAD, h)
        hc = np.minimum(h, clip)
        c = int((HEAD.weight @ hc + HEAD.bias).argmax())
        ma = contrib[c] > np.percentile(contrib[c], p_a)
        m = np.abs(contrib[c])[None] * HEAD.weight
        mw = m > np.percentile(m, p_w)
        z = (HEAD.weight * mw) @ (hc * ma) + HEAD.bias
        assert receipt.routed == c
        assert receipt.predicted == int((HEAD.weight @ h + HEAD.bias).argmax())
        np.testing.assert_allclose(receipt.logits["after"], z, atol=1e-12)
        np.testing.assert_allclose(receipt.line, np.log(np.exp(z).sum()))
        np.testing.assert_allclose(
            receipt.energy, np.log(np.exp(HEAD.weight @ h + HEAD.bias).sum())
        )
        np.testing.assert_array_equal(receipt.neurons["kept"], ma)
        np.testing.assert_array_equal(receipt.neurons["clipped"], h > clip)
        np.testing.assert_array_equal(receipt.neurons["weights_kept"], mw.sum(0))
        before = receipt.neurons["before"].sum() + HEAD.bias[c]
        np.testing.assert_allclose(before, receipt.logits["before"][c])
        after = receipt.neurons["after"].sum() + HEAD.bias[c]
        np.testing.assert_allclose(after, z[c], atol=1e-12)
        one = Activations.from_arrays(h[None])
        np.testing.assert_allclose(receipt.line, line.score_samples(one)[0], rtol=1e-9)


def test_contributions_add_up_to_the_logit() -> None:
    h = FIT.features[3]
    receipt = image_receipt(make_detector("line", clip=1e5).fit(FIT, HEAD), HEAD, h)
    c = int((HEAD.weight @ h + HEAD.bias).argmax())
    assert receipt.routed == c
    before = receipt.neurons["before"]
    np.testing.assert_allclose(before, [HEAD.weight[c, j] * h[j] for j in range(D)])
    np.testing.assert_allclose(before.sum(), receipt.logits["before"].max() - HEAD.bias[c])


def test_wrong_number_of_features() -> None:
    with pytest.raises(DataError, match=r"one image has 20 features, got an array \(3,\)"):
        image_receipt(make_detector("line").fit(FIT, HEAD), HEAD, np.ones(3))

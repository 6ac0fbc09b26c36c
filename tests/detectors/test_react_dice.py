"""ReAct + DICE: clipped features, mask from unclipped means."""

from __future__ import annotations

import numpy as np

from ood_core.detectors import make_detector


def test_both_at_once(small):
    c = np.percentile(small.h_fit, 80)
    v = small.W * small.h_fit.mean(axis=0)
    masked = np.where(v > np.percentile(v, 60), small.W, 0)
    expected = [np.log(np.exp(masked @ np.minimum(x, c) + small.b).sum()) for x in small.h]
    detector = make_detector("react_dice", percentile=80, p=60).fit(small.fit, small.head)
    np.testing.assert_allclose(detector.score_samples(small.test), expected, rtol=1e-12)


def test_without_clip_it_is_dice(small):
    both = make_detector("react_dice", clip=1e9, p=60).fit(small.fit, small.head)
    dice = make_detector("dice", p=60).fit(small.fit, small.head)
    np.testing.assert_array_equal(both.score_samples(small.test), dice.score_samples(small.test))

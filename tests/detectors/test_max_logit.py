"""Maximum logit."""

from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import Activations
from ood_core.detectors import make_detector
from ood_core.errors import DataError


def test_largest_logit(small):
    found = make_detector("max_logit").fit(small.fit).score_samples(small.test)
    np.testing.assert_array_equal(found, [max(z) for z in small.z])


def test_logits_are_computed_from_the_head_where_none_were_recorded(small):
    bare = Activations.from_arrays(small.h)
    found = make_detector("max_logit").fit(small.fit, small.head).score_samples(bare)
    np.testing.assert_allclose(found, small.z.max(axis=1))


def test_neither_logits_nor_head_is_an_error(small):
    detector = make_detector("max_logit").fit(small.fit)
    with pytest.raises(DataError, match="needs logits and 'arrays' has none"):
        detector.score_samples(Activations.from_arrays(small.h))

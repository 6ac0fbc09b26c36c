"""The embedded sets: who is in them, and that they stay what they are."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images

from ood_core.data import DIGITS_SOURCES, open_dataset
from ood_core.data.digits import HELD_OUT, DigitsSet
from ood_core.errors import DataError
from ood_core.experiments import DataSpec, load_experiment
from ood_core.experiments.sources import BUILTIN_SOURCES


def pixels(source: str) -> np.ndarray:
    images = DigitsSet(source)
    return np.stack([np.asarray(images.load(i)) for i in range(len(images))])


def numbers(source: str) -> list[int]:
    return [int(i.rsplit("/", 1)[1]) for i in DigitsSet(source).ids]


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("digits:fit", 962),
        ("digits:test", 481),
        ("digits:held-out", 354),
        ("digits:rotated", 422),
        ("digits:inverted", 481),
        ("digits:shuffled", 481),
        ("digits:photos", 520),
        ("digits:noise", 481),
    ],
)
def test_sets_are_8_by_8_grey_and_of_known_size(source: str, count: int) -> None:
    images = DigitsSet(source)
    assert len(images) == len(images.ids) == len(set(images.ids)) == count
    assert pixels(source).shape == (count, 8, 8)
    assert images.load(0).mode == "L"


def test_sources_are_those_an_experiment_file_may_name() -> None:
    assert DIGITS_SOURCES == BUILTIN_SOURCES


def test_fit_and_test_share_no_image_and_hold_the_classes_in_equal_shares() -> None:
    fit, test = DigitsSet("digits:fit"), DigitsSet("digits:test")
    assert not set(numbers("digits:fit")) & set(numbers("digits:test"))
    assert fit.labels is not None
    assert test.labels is not None
    share = np.bincount(test.labels) / (np.bincount(test.labels) + np.bincount(fit.labels))
    np.testing.assert_allclose(share, 1 / 3, atol=0.01)
    assert fit.class_names == tuple("01234567")


def test_labels_are_scikit_learns() -> None:
    bunch = load_digits()
    images = DigitsSet("digits:test")
    np.testing.assert_array_equal(images.labels, bunch.target[numbers("digits:test")])
    np.testing.assert_allclose(
        pixels("digits:test"), bunch.images[numbers("digits:test")] * 255 / 16, atol=0.5
    )


def test_held_out_are_all_eights_and_nines() -> None:
    found = load_digits().target[numbers("digits:held-out")]
    np.testing.assert_array_equal(np.unique(found), HELD_OUT)
    assert len(found) == np.isin(load_digits().target, HELD_OUT).sum()


def test_ood_sets_are_made_of_test_images_that_the_classifier_never_saw() -> None:
    for source in ("digits:rotated", "digits:inverted", "digits:shuffled"):
        assert set(numbers(source)) <= set(numbers("digits:test"))


def test_what_each_transformation_does() -> None:
    original = dict(zip(numbers("digits:test"), pixels("digits:test"), strict=True))
    for number, image in zip(numbers("digits:rotated"), pixels("digits:rotated"), strict=True):
        np.testing.assert_array_equal(image, np.rot90(original[number]))
    for number, image in zip(numbers("digits:inverted"), pixels("digits:inverted"), strict=True):
        np.testing.assert_array_equal(image, 255 - original[number])
    for number, image in zip(numbers("digits:shuffled"), pixels("digits:shuffled"), strict=True):
        np.testing.assert_array_equal(np.sort(image, axis=None), np.sort(original[number], None))


def test_rotated_holds_no_zero() -> None:
    assert not (load_digits().target[numbers("digits:rotated")] == 0).any()


def test_only_fit_and_test_have_labels() -> None:
    for source in DIGITS_SOURCES[2:]:
        assert DigitsSet(source).labels is None
        assert DigitsSet(source).class_names is None


def test_identities_differ_and_are_the_same_every_time() -> None:
    identities = {DigitsSet(source).identity for source in DIGITS_SOURCES}
    assert len(identities) == len(DIGITS_SOURCES)
    assert DigitsSet("digits:fit").identity == DigitsSet("digits:fit", "other").identity


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("digits:fit", "a60a304b79914348"),
        ("digits:test", "f991f802a0cdc49d"),
        ("digits:held-out", "5dc2a99af7e8d9ec"),
        ("digits:rotated", "fd69d5eff16591e7"),
        ("digits:inverted", "194408d503e171ed"),
        ("digits:shuffled", "dce9bd8a381a87e6"),
        ("digits:noise", "9f9c97de2ea285e2"),
    ],
)
def test_images_stay_those_of_their_recipe(source: str, expected: str) -> None:
    """Stored activations are found by `digits._RECIPE`: change it when this has to change."""
    images = DigitsSet(source)
    labels = None if images.labels is None else images.labels.tolist()
    digest = hashlib.sha256(pixels(source).tobytes())
    digest.update(repr((images.ids, labels, images.class_names)).encode())
    assert digest.hexdigest()[:16] == expected


def test_photographs_stay_those_of_their_recipe() -> None:
    """Up to how JPEG files are decoded; see the test above."""
    found = pixels("digits:photos")
    assert DigitsSet("digits:photos").ids[-1] == "digits:photos/0519"
    np.testing.assert_allclose(
        found.reshape(8, -1).mean(1),
        [219.2, 165.8, 128.9, 73.9, 38.3, 89.9, 79.8, 55.9],
        atol=0.5,
    )


def test_pixels_cannot_be_changed_through_an_image() -> None:
    images = DigitsSet("digits:fit")
    before = np.asarray(images.load(0)).copy()
    images.load(0).paste(255, (0, 0, 8, 8))
    np.testing.assert_array_equal(np.asarray(images.load(0)), before)


def test_unknown_source() -> None:
    with pytest.raises(DataError, match=r"unknown built-in set 'digits:tset'\. Did you mean"):
        DigitsSet("digits:tset")


def test_a_subset_is_drawn_once_and_for_all() -> None:
    spec = DataSpec("few", "builtin", "digits:fit", {"per_class": 5})
    few = open_dataset(spec)
    assert few.labels is not None
    np.testing.assert_array_equal(np.bincount(few.labels), [5] * 8)
    assert few.ids == open_dataset(spec).ids
    assert few.identity != DigitsSet("digits:fit").identity
    whole = DigitsSet("digits:fit")
    at = whole.ids.index(few.ids[3])
    np.testing.assert_array_equal(np.asarray(few.load(3)), np.asarray(whole.load(at)))


def test_identities_cost_no_import_of_scikit_learn_or_torch() -> None:
    code = (
        "import sys; from ood_core.data import open_dataset; "
        "from ood_core.experiments import load_experiment; "
        "[open_dataset(s).identity for s in load_experiment('digits').sets.values()]; "
        "heavy = {'torch', 'torchvision', 'sklearn', 'scipy', 'pandas', 'pyarrow'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_experiment_opens() -> None:
    experiment = load_experiment("digits")
    assert [open_dataset(s).name for s in experiment.sets.values()] == list(experiment.sets)
    assert experiment.ood_sets == (
        "held-out",
        "inverted",
        "shuffled",
        "photos",
        "noise",
        "rotated",
    )
    assert experiment.near == ("held-out",)


def test_the_photographs_are_scikit_learns() -> None:
    from ood_core.data.digits import _sample_photographs

    for ours, theirs in zip(_sample_photographs(), load_sample_images().images, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_scikit_learn_is_not_imported_for_its_files() -> None:
    """Its import fails while another thread imports torch."""
    code = (
        "import sys, types; sys.modules['torch'] = types.ModuleType('torch')\n"
        "from ood_core.data.digits import DIGITS_SOURCES, DigitsSet\n"
        "print(sum(len(DigitsSet(s)) for s in DIGITS_SOURCES), 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "False"
    assert int(done.stdout.split()[0]) > 3000

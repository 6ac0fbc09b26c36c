from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ood_core.activations import Activations, LayerRecord, extract, shared_images
from ood_core.activations.duplicates import SharedImage, SharedImages
from ood_core.activations.resident_models import forget_models
from ood_core.experiments import ClassifierSpec, DataSpec, Experiment, Preprocessing
from ood_core.models import ClassifierHead
from ood_core.scoring import gates_of_images
from ood_core.scoring.gate_result import GateResult, gates_in_words, worst
from ood_core.scoring.gates import run_gates

HEAD = "The head explains the logits"
ACCURACY = "ID accuracy is as expected"
CLASSES = "Every class has fit images"
INACTIVE = "Units of penultimate can be off"
NEGATIVE = "No negative values at penultimate"
SHIFT = "Fit and test set look alike"
LEAK = "Fit and test set have no image in common"
SHARED = "ID and OOD have no image in common"
READ = "Every image can be read"


class FakeSet(dict):
    """What the gates need of an ActivationSet."""

    def __init__(
        self, head: ClassifierHead, expected: float | None = None, **sets: Activations
    ) -> None:
        super().__init__(sets)
        self.head = head
        self.skipped = dict.fromkeys(sets, ())
        self.experiment = SimpleNamespace(
            fit_set="fit",
            test_set="test",
            ood_sets=(),
            id_classes=(),
            classifier=SimpleNamespace(expected_accuracy=expected),
        )
        for name, acts in sets.items():
            acts.name = name


@pytest.fixture(autouse=True)
def _arrays_have_no_images(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "files" not in request.fixturenames:
        monkeypatch.setattr(
            gates_of_images, "shared_images", lambda *_, **__: SharedImages((), 0, 0)
        )


def separable(n: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """ReLU features of four classes that an identity head tells apart, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 4
    features = np.maximum(rng.normal(shift, 0.3, (n, 4)), 0)
    features[np.arange(n), labels] += 3
    return features, labels


def make(**changes: object) -> FakeSet:
    head = ClassifierHead(np.eye(4), np.zeros(4), ("a", "b", "c", "d"))
    sets = {}
    for seed, name in enumerate(("fit", "test")):
        features, labels = separable(200, seed, float(changes.get(f"{name}_shift", 0.0)))
        if changes.get("signed"):
            features = features - 1
        if changes.get("dense"):
            features = features + 0.5
        labels = changes.get(f"{name}_labels", labels)
        offset = changes.get("offset", 0.0)
        if changes.get("wrong_order"):
            labels = (labels + 1) % 4
        sets[name] = Activations.from_arrays(features, features + offset, labels)
    return FakeSet(head, changes.get("expected"), **sets)


def gate(acts: FakeSet, name: str) -> GateResult:
    return next(g for g in run_gates(acts) if g.name == name)


def test_all_gates_hold_on_a_healthy_experiment() -> None:
    results = run_gates(make(expected=1.0))
    assert [g.name for g in results] == [
        HEAD, ACCURACY, CLASSES, INACTIVE, NEGATIVE, SHIFT, LEAK, SHARED, READ,
    ]  # fmt: skip
    assert all(g.ok and not g.remedy and g.text for g in results), results


def test_head_that_does_not_explain_the_logits() -> None:
    found = gate(make(offset=0.5), HEAD)
    assert found.ok is False
    assert found.value == pytest.approx(0.5)
    assert "more after its last linear layer" in found.remedy


@pytest.mark.parametrize("expected", [None, 0.9])
def test_accuracy_below_what_is_expected(expected: float | None) -> None:
    found = gate(make(wrong_order=True, expected=expected), ACCURACY)
    assert (found.ok, found.value) == (False, 0.0)
    assert "order of the class names" in found.remedy
    assert ("not declared" in found.text) == (expected is None)


@pytest.mark.parametrize("trained", ["by text", "by number", "by neither"])
@pytest.mark.parametrize("numbered", ["by text", "by number"])
def test_the_other_order_of_numbers_is_proposed_where_it_fits(numbered: str, trained: str) -> None:
    """Twelve classes called 0 to 11; ImageFolder makes of folder 10 class 2."""
    by_number = [str(c) for c in range(12)]
    orders = {"by number": by_number, "by text": sorted(by_number), "by neither": by_number[::-1]}
    called = np.arange(240) % 12  # what each image is called
    own, theirs = ({int(x): i for i, x in enumerate(orders[o])} for o in (numbered, trained))
    features = np.zeros((240, 12))
    features[np.arange(240), [theirs[c] for c in called]] = 3
    acts = Activations.from_arrays(features, features, np.array([own[c] for c in called]))
    head = ClassifierHead(np.eye(12), np.zeros(12), tuple(orders[numbered]))
    found = gate(FakeSet(head, None, fit=acts, test=acts), ACCURACY)
    assert found.ok is (numbered == trained)
    first = {"by text": "0, 1, 10, 11", "by number": "0, 1, 2, 3"}.get(trained, "nowhere")
    proposed = f"In the order {first}, … 100.00 % would be right" in found.remedy
    assert proposed == (numbered != trained != "by neither")
    if trained == "by neither":
        assert "Check the order of the class names" in found.remedy


def test_accuracy_within_chance_of_the_expected_value_holds() -> None:
    acts = make(expected=0.99)
    labels = acts["test"].labels.copy()
    labels[:8] = (labels[:8] + 1) % 4
    acts["test"] = Activations.from_arrays(acts["test"].features, acts["test"].logits, labels)
    found = gate(acts, ACCURACY)
    assert found.value == pytest.approx(0.96)
    assert found.ok is (found.limit <= 0.96)


def test_unlabelled_sets_cannot_be_checked() -> None:
    unknown = np.full(200, -1)
    acts = make(fit_labels=unknown, test_labels=unknown)
    for name in (ACCURACY, CLASSES):
        found = gate(acts, name)
        assert found.ok is None
        assert math.isnan(found.value)
        assert "no labels" in found.text


def test_what_a_gate_is_not_about_is_neither_good_nor_bad() -> None:
    """Without a head, without labels: said in words of its own, not counted, nothing to do."""
    acts = make(fit_labels=None, test_labels=None)
    acts.head = None
    acts["test"] = Activations.from_arrays(acts["test"].features)
    found = run_gates(acts)
    outside = {g.name for g in found if not g.applies}
    assert outside == {HEAD, ACCURACY, CLASSES}
    for g in found:
        assert g.ok is (None if g.name in outside else True), g
        assert g.text.startswith("not applicable, because ") == (g.name in outside)
        assert not g.remedy
    assert gates_in_words(found) == "6 of 6 checks hold, 3 not applicable."


def test_without_a_head_the_fit_set_must_have_the_classes_of_the_test_set() -> None:
    acts = make(fit_labels=np.arange(200) % 2)
    acts.head, acts.class_names = None, ("a", "b", "c", "d")
    assert gate(acts, CLASSES).text == "2 classes have none: c, d"
    whole = make()
    whole.head, whole.class_names = None, ("a", "b", "c", "d")
    assert gate(whole, CLASSES).ok is True


def test_logits_that_a_head_was_used_for_are_not_held_against_it() -> None:
    acts = make()
    acts["test"] = Activations.from_arrays(acts["test"].features, None, acts["test"].labels)
    assert "computed from the features" in gate(acts, HEAD).text
    assert gate(acts, ACCURACY).ok is True


def test_classes_missing_in_the_fit_set_are_named() -> None:
    found = gate(make(fit_labels=np.arange(200) % 2), CLASSES)
    assert (found.ok, found.value) == (False, 2.0)
    assert found.text == "2 classes have none: c, d"


def test_dense_features_make_sparsity_meaningless() -> None:
    found = gate(make(dense=True), INACTIVE)
    assert (found.ok, found.value) == (False, 0.0)
    assert "NAN is the plain norm divided by a constant" in found.remedy


def test_signed_features_are_counted() -> None:
    acts = make(signed=True)
    found = gate(acts, NEGATIVE)
    assert found.ok is False
    assert found.value == pytest.approx((acts["test"].features < 0).mean())


def test_another_layer_is_named() -> None:
    acts = make()
    for name in ("fit", "test"):
        maps = np.random.default_rng(0).normal(size=(200, 12))
        layers = {"block": LayerRecord.from_vectors(maps), **acts[name].layers}
        acts[name].layers = layers
    names = [g.name for g in run_gates(acts, "block")]
    assert "Units of block can be off" in names
    assert gate_ok(run_gates(acts, "block"), "No negative values at block") is False


def gate_ok(results: tuple[GateResult, ...], name: str) -> bool | None:
    return next(g.ok for g in results if g.name == name)


def test_shift_between_fit_and_test() -> None:
    assert gate(make(), SHIFT).value < 0.1
    found = gate(make(test_shift=1.0), SHIFT)
    assert found.ok is False
    assert "differ in more than chance" in found.remedy


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path / "home"))
    sets = {}
    for seed, name in enumerate(("fit", "test", "ood")):
        rng = np.random.default_rng(seed)
        for i in range(12):
            path = tmp_path / name / str(i % 4) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(path)
        sets[name] = DataSpec(name, "folder", str(tmp_path / name))
    yield Experiment(
        name="files",
        title="Files",
        classifier=ClassifierSpec("digits_cnn", random_weights=0, num_classes=4),
        preprocessing=Preprocessing(16, 16, (0.3,), (0.32,), mode="L"),
        sets=sets,
        ood_sets=("ood",),
    )
    forget_models()


def test_the_same_image_in_two_sets_is_found(files: Experiment, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "fit" / "1" / "5.png", tmp_path / "ood" / "0" / "copy.png")
    with Image.open(tmp_path / "test" / "2" / "6.png") as image:  # other bytes, same pixels
        image.save(tmp_path / "ood" / "0" / "same.bmp")
    results = run_gates(extract(files, batch_size=5))
    found = next(g for g in results if g.name == SHARED)
    assert (found.ok, found.value) == (False, 2.0)
    assert found.text == "2 images, for example ood/0/copy.png = fit/1/5.png"
    assert gate_ok(results, LEAK) is True


def test_an_image_of_the_fit_set_in_the_test_set_is_found(
    files: Experiment, tmp_path: Path
) -> None:
    shutil.copy(tmp_path / "fit" / "0" / "0.png", tmp_path / "test" / "3" / "leak.png")
    (pair,) = shared_images(extract(files), ["fit"], ["test"]).pairs
    assert dataclasses.astuple(pair) == ("fit", "0/0.png", "test", "3/leak.png")


def test_a_test_set_that_is_the_fit_set_says_what_that_does(files: Experiment) -> None:
    same = dataclasses.replace(
        files, sets={**files.sets, "test": DataSpec("test", "folder", files.sets["fit"].source)}
    )
    results = run_gates(extract(same))
    found = next(g for g in results if g.name == LEAK)
    assert (found.ok, found.value) == (False, 12.0)
    assert "fitted on these 12 ID test images" in found.remedy
    assert "look better here than on new images" in found.remedy
    assert worst(results) is found
    assert gates_in_words(results).startswith(f"{sum(g.ok is False for g in results)} of 9 checks")
    assert f'"{LEAK}" does not hold (12 images, for example' in gates_in_words(results)


def test_an_image_of_both_id_sets_in_an_ood_set_names_both(files: Experiment, tmp_path) -> None:
    for name in ("fit", "test"):
        shutil.copy(tmp_path / name / "1" / "5.png", tmp_path / "ood" / "0" / f"{name}.png")
    found = next(g for g in run_gates(extract(files)) if g.name == SHARED)
    assert found.value == 2.0
    assert "count as ID in 'fit' and 'test' and as OOD" in found.remedy


def test_large_overlaps_are_sampled_and_say_so(files: Experiment) -> None:
    same = dataclasses.replace(
        files, sets={**files.sets, "test": DataSpec("test", "folder", files.sets["fit"].source)}
    )
    found = shared_images(extract(same), ["fit"], ["test"], most=5)
    assert (len(found.pairs), found.compared, found.alike, found.whole) == (5, 5, 12, False)


def test_images_that_are_gone_leave_a_gate_open(files: Experiment, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "fit" / "1" / "5.png", tmp_path / "ood" / "0" / "copy.png")
    acts = extract(files)
    shutil.rmtree(tmp_path / "ood")
    found = next(g for g in run_gates(acts) if g.name == SHARED)
    assert found.ok is None
    assert "images cannot be compared" in found.text


@pytest.mark.parametrize(
    ("weights", "first"), [((1, 3, 2), 1), ((2, 2, 1), 0), ((1, 1, 1), 0)], ids=str
)
def test_the_worst_gate_is_the_one_that_spoils_most(weights: tuple, first: int) -> None:
    results = [GateResult(f"g{i}", False, 0, 0, "t", "r", w) for i, w in enumerate(weights)]
    assert worst([GateResult("fine", True, 0, 0, "t", "", 3), *results]) is results[first]
    assert worst([GateResult("fine", True, 0, 0, "t", "", 3)]) is None


def test_gates_that_hold_or_cannot_be_checked_are_counted() -> None:
    held = GateResult("a", True, 0, 0, "t")
    assert gates_in_words([held, held]) == "2 of 2 checks hold."
    open_ = GateResult("b", None, math.nan, 0, "no labels")
    assert gates_in_words([held, open_]) == "1 of 2 checks hold, 1 cannot be checked."


def test_unreadable_images_are_reported(files: Experiment, tmp_path: Path) -> None:
    (tmp_path / "ood" / "0" / "bad.png").write_bytes(b"text")
    found = next(g for g in run_gates(extract(files)) if g.name == READ)
    assert (found.ok, found.value) == (False, 1.0)
    assert "bad.png" in found.text


def test_rounding_of_constant_features_is_no_shift() -> None:
    acts = make()
    rng = np.random.default_rng(0)
    for name, n in (("fit", 20), ("test", 10)):
        moved = 1e-7 if name == "test" else 0
        h = (0.5 + moved + 1e-8 * rng.normal(size=(n, 4))).astype(np.float32)
        acts[name] = Activations.from_arrays(h, acts.head.logits(h), np.arange(n) % 2)
        acts[name].name = name
    assert gate(acts, SHIFT).ok


def test_an_image_in_both_id_sets_counts_once() -> None:
    pairs = tuple(SharedImage(first, "a.png", "odd", "b.png") for first in ("fit", "test"))
    found = SharedImages(pairs, 2, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates_of_images, "shared_images", lambda *_, **__: found)
        told = gate(make(), SHARED)
    assert told.value == 1
    assert told.text == "1 image, for example odd/b.png = fit/a.png"

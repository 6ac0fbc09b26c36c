from __future__ import annotations

import numpy as np
import pytest

from ood_core.activations import PENULTIMATE, Activations, LayerRecord, LazyRecord
from ood_core.errors import DataError

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(7, 5))


def test_record_of_vectors_is_what_it_says() -> None:
    record = LayerRecord.from_vectors(VECTORS)
    np.testing.assert_allclose(record.l1, np.abs(VECTORS).sum(1))
    np.testing.assert_allclose(record.l2, np.linalg.norm(VECTORS, axis=1))
    np.testing.assert_array_equal(record.l0, (VECTORS > 0).sum(1))
    np.testing.assert_array_equal(record.negatives, (VECTORS < 0).sum(1))
    np.testing.assert_array_equal(record.active_counts, (VECTORS > 0).sum(0))
    assert (len(record), record.n_channels, record.n_units) == (7, 5, 5)


def test_vectors_must_be_a_matrix() -> None:
    with pytest.raises(DataError, match=r"shape \(samples, units\), got \(3,\)"):
        LayerRecord.from_vectors(np.zeros(3))


@pytest.mark.parametrize(
    "index", [slice(2, 5), np.array([6, 0, 0]), np.arange(7) % 2 == 0, slice(None, None, -2)]
)
def test_take_cuts_every_field_when_asked(index: np.ndarray | slice) -> None:
    acts = Activations.from_arrays(
        VECTORS, VECTORS[:, :3], np.arange(7), layers={"block": VECTORS * 2}, name="set"
    )
    part = acts.take(index)
    assert len(part) == len(VECTORS[index])
    np.testing.assert_array_equal(part.features, VECTORS[index])
    np.testing.assert_array_equal(part.logits, VECTORS[index][:, :3])
    np.testing.assert_array_equal(part.labels, np.arange(7)[index])
    assert part.ids == tuple(np.array(acts.ids, dtype=object)[index])
    whole, cut = acts.layer("block"), part.layer("block")
    for field in ("pooled", "active_fraction", "l1", "l2", "l0", "negatives"):
        np.testing.assert_array_equal(getattr(cut, field), getattr(whole, field)[index])
        assert getattr(cut, field) is getattr(cut, field)
    assert cut.active_counts is None
    assert (cut.n_channels, cut.positions) == (whole.n_channels, whole.positions)
    np.testing.assert_array_equal(part.take(slice(1, 2)).features, VECTORS[index][1:2])


def test_chunks_cover_everything_once() -> None:
    acts = Activations.from_arrays(VECTORS)
    pieces = list(acts.chunks(3))
    assert [len(piece) for piece in pieces] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([p.features for p in pieces]), VECTORS)
    assert sum((piece.ids for piece in pieces), ()) == acts.ids == tuple(
        f"arrays/{i}" for i in range(7)
    )  # fmt: skip


def test_a_lazy_record_reads_only_what_is_asked() -> None:
    asked: list[str] = []

    def read(field: str) -> np.ndarray:
        asked.append(field)
        return np.zeros((4, 3) if field == "pooled" else 4)

    record = LazyRecord(read, 4, 3, positions=9, counted=True)
    assert (len(record), record.n_channels, record.n_units) == (4, 3, 27)
    assert repr(record) == "LazyRecord(4 x 3 x 9)"
    assert asked == []
    assert record.l1.shape == (4,)
    assert record.active_counts is not None
    assert asked == ["l1", "active_counts"]
    assert LazyRecord(read, 4, 3).active_counts is None


def test_what_does_not_fit_is_an_error() -> None:
    record = LayerRecord.from_vectors(VECTORS)
    with pytest.raises(DataError, match="layers must include 'penultimate'"):
        Activations({"block": record})
    with pytest.raises(DataError, match="logits has 3 rows but features has 7"):
        Activations({PENULTIMATE: record}, logits=np.zeros((3, 2)))
    with pytest.raises(DataError, match="ids has 2 rows but features has 7"):
        Activations({PENULTIMATE: record}, ids=["a", "b"])
    with pytest.raises(DataError, match=r"unknown layer 'blok'. Did you mean 'block'"):
        Activations({"block": record, PENULTIMATE: record}).layer("blok")
    with pytest.raises(DataError, match="holds NaN or infinite values"):
        Activations.from_arrays(VECTORS * np.nan)
    with pytest.raises(DataError, match=r"features must have shape \(samples, values\)"):
        Activations.from_arrays(np.zeros(4))


def test_arrays_given_are_copied_and_read_only() -> None:
    given = VECTORS.copy()
    acts = Activations.from_arrays(given)
    given[:] = 0
    np.testing.assert_array_equal(acts.features, VECTORS)
    with pytest.raises(ValueError, match="read-only"):
        acts.features[0, 0] = 1
    assert repr(acts) == "Activations('arrays', 7 x 5, layers=['penultimate'])"
    assert acts.logits is acts.labels is None

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ood_core.activations import extract, prepared, remarks
from ood_core.activations.engine import Runner
from ood_core.data import Transform, files, open_dataset
from ood_core.errors import ConfigError, DataError, ModelError, StoppedError
from ood_core.experiments import DataSpec, Experiment
from ood_core.runtime.progress import Progress

Oracle = Callable[[Experiment, str], dict[str, np.ndarray]]


def test_every_statistic_equals_that_of_the_kept_maps(
    tiny: Experiment, slow_oracle: Oracle
) -> None:
    acts = extract(tiny, batch_size=5)
    for name in acts:
        maps = slow_oracle(tiny, name)
        np.testing.assert_allclose(acts[name].logits, maps["logits"], rtol=1e-4, atol=1e-5)
        for layer in acts.layers:
            a, record = maps[layer.name], acts[name].layer(layer.name)
            flat = a.reshape(len(a), -1)
            np.testing.assert_allclose(record.pooled, a.mean(2), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(record.l1, np.abs(flat).sum(1), rtol=1e-5)
            np.testing.assert_allclose(record.l2, np.sqrt((flat**2).sum(1)), rtol=1e-5)
            np.testing.assert_array_equal(record.l0, (flat > 0).sum(1))
            np.testing.assert_array_equal(record.negatives, (flat < 0).sum(1))
            np.testing.assert_allclose(record.active_fraction, (a > 0).mean(2), rtol=1e-6)
            np.testing.assert_array_equal(record.active_counts, (flat > 0).sum(0))
            assert record.l1.dtype == record.l2.dtype == np.float64
            assert record.pooled.dtype == np.float32
            assert record.n_units == flat.shape[1]


def test_sets_labels_ids_and_head(tiny: Experiment) -> None:
    acts = extract(tiny)
    assert list(acts) == ["fit", "test", "noise"]
    for name in acts:
        source = open_dataset(tiny.sets[name])
        assert acts[name].ids == source.ids
        np.testing.assert_array_equal(acts[name].labels, source.labels)
        np.testing.assert_allclose(
            acts.head.logits(acts[name].features), acts[name].logits, atol=1e-5
        )
    assert acts.layers[-1].name == "penultimate"
    assert acts.skipped == {"fit": (), "test": (), "noise": ()}


def test_second_call_touches_no_model(tiny: Experiment, forwards: list[int]) -> None:
    assert prepared(tiny) is None
    first = extract(tiny)
    assert sum(forwards) == 35
    again, warm = extract(tiny), prepared(tiny)
    assert sum(forwards) == 35
    assert warm is not None
    assert first.fingerprint == again.fingerprint == warm.fingerprint
    np.testing.assert_array_equal(warm["test"].features, first["test"].features)


def test_layers_asked_for_later_cost_one_more_pass(tiny: Experiment, forwards: list[int]) -> None:
    few = extract(tiny, layers=["penultimate"])
    assert [layer.name for layer in few.layers] == ["penultimate"]
    assert prepared(tiny, layers=["block1"]) is None
    assert prepared(tiny).fingerprint == few.fingerprint
    assert sum(forwards) == 35
    every = extract(tiny)
    assert sum(forwards) == 70
    assert len(every.layers) > 1
    assert few["fit"].fingerprint != every["fit"].fingerprint
    np.testing.assert_array_equal(few["fit"].features, every["fit"].features)


def test_sets_asked_for_later_leave_the_others_alone(tiny: Experiment, forwards: list[int]) -> None:
    extract(tiny, sets=["fit", "test"])
    assert sum(forwards) == 29
    extract(tiny)
    assert sum(forwards) == 35


@pytest.mark.parametrize("what", ["weights", "transform", "file", "amp"])
def test_a_change_is_never_served_stale(tiny: Experiment, what: str, forwards: list[int]) -> None:
    before = extract(tiny)["test"].features.copy()
    exp, options = tiny, {}
    if what == "weights":
        spec = dataclasses.replace(tiny.classifier, random_weights=1)
        exp = dataclasses.replace(tiny, classifier=spec)
    elif what == "transform":
        other = dataclasses.replace(tiny.preprocessing, mean=(0.5,), std=(0.1,))
        exp = dataclasses.replace(tiny, preprocessing=other)
    elif what == "file":
        path = Path(tiny.sets["test"].source) / open_dataset(tiny.sets["test"]).ids[3]
        Image.fromarray(np.full((16, 16), 255, np.uint8)).save(path)
    else:
        options = {"amp": True}
    assert prepared(exp, **options) is None
    forwards.clear()
    after = extract(exp, **options)["test"].features
    assert sum(forwards) == (9 if what == "file" else 35)
    assert not np.array_equal(before, after)


def test_same_content_at_another_time_is_another_file(tiny: Experiment) -> None:
    extract(tiny)
    path = Path(tiny.sets["test"].source) / open_dataset(tiny.sets["test"]).ids[0]
    os.utime(path, ns=(1, 1))
    assert prepared(tiny) is None


@pytest.mark.parametrize("limit", [None, 5])
@pytest.mark.parametrize("what", ["moved away", "replaced"])
def test_what_happens_to_a_file_while_it_is_read_is_not_stored_as_what_it_was(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch, what: str, limit: int | None
) -> None:
    spec = tiny.sets["noise"]
    options = {**spec.options, **({"limit": limit} if limit else {})}
    spec = dataclasses.replace(spec, options=options)
    tiny = dataclasses.replace(tiny, sets={**tiny.sets, "noise": spec})
    images = open_dataset(spec)
    file, kept = images.path(2), Path(spec.source).parent / "kept.png"
    assert file is not None
    read = files.read_file

    def disturbed(path: Path, shown: str) -> bytes:
        if path.parent.is_relative_to(spec.source) and not kept.exists():
            file.rename(kept)
            if what == "replaced":
                Image.fromarray(np.full((16, 17), 200, np.uint8)).save(file)
        return read(path, shown)

    with monkeypatch.context() as patch:
        patch.setattr(files, "read_file", disturbed)
        with pytest.raises(DataError, match="changed, moved or removed while"):
            extract(tiny)
    kept.rename(file)
    acts = extract(tiny)
    assert acts["noise"].ids == images.ids
    assert not acts.skipped["noise"]
    whole = acts["noise"].features.copy()
    os.utime(file, ns=(1, 1))
    np.testing.assert_allclose(extract(tiny)["noise"].features, whole, rtol=1e-5, atol=1e-6)


def test_a_list_of_absolute_paths_is_computed_again_when_a_file_changes(
    tiny: Experiment, tmp_path: Path
) -> None:
    root = Path(tiny.sets["noise"].source)
    images = sorted(root.rglob("*.png"))
    file = tmp_path / "noise.txt"
    file.write_text("".join(f"{path}\n" for path in (*images, root / "later.png")))
    spec = DataSpec("noise", "image_list", str(file), {"role": "ood"})
    tiny = dataclasses.replace(tiny, sets={**tiny.sets, "noise": spec})
    before = extract(tiny)
    ((skipped, why),) = before.skipped["noise"]
    assert skipped == str(root / "later.png")
    assert "cannot be read (No such file or directory)" in why
    features = before["noise"].features.copy()
    Image.fromarray(np.full((16, 17), 200, np.uint8)).save(images[3])
    assert prepared(tiny) is None
    after = extract(tiny)["noise"]
    changed = np.abs(after.features - features).max(1) > 1e-3
    assert np.flatnonzero(changed).tolist() == [3]
    images[0].rename(root / "later.png")
    assert prepared(tiny) is None
    assert [name for name, _ in extract(tiny).skipped["noise"]] == [str(images[0])]


def test_broken_images_are_skipped_counted_and_listed(tiny: Experiment) -> None:
    whole = extract(tiny)["test"]
    features, ids = whole.features.copy(), whole.ids
    root = Path(tiny.sets["test"].source)
    broken = [ids[2], ids[8]]
    for name in broken:
        (root / name).write_bytes(b"not an image")
    acts = extract(tiny)
    test = acts["test"]
    kept = [i for i, name in enumerate(ids) if name not in broken]
    assert [name for name, _ in acts.skipped["test"]] == broken
    assert all(name in message for name, message in acts.skipped["test"])
    assert test.ids == tuple(ids[i] for i in kept)
    np.testing.assert_array_equal(test.index, kept)
    np.testing.assert_allclose(test.features, features[kept], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(test.labels, open_dataset(tiny.sets["test"]).labels[kept])


def test_a_shard_of_broken_images_alone(tiny: Experiment) -> None:
    ids = open_dataset(tiny.sets["fit"]).ids
    for name in ids[8:16]:
        (Path(tiny.sets["fit"].source) / name).write_bytes(b"")
    acts = extract(tiny)["fit"]
    assert len(acts) == 12
    assert acts.ids == ids[:8] + ids[16:]
    assert acts.features.shape == (12, 256)
    assert sum(map(len, acts.chunks(5))) == 12


def test_no_readable_image_is_an_error(tiny: Experiment) -> None:
    root = Path(tiny.sets["noise"].source)
    for name in open_dataset(tiny.sets["noise"]).ids:
        (root / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"none of the 6 images of 'noise' can be read; the first"):
        extract(tiny)


def test_images_of_different_sizes_need_a_crop(tiny: Experiment) -> None:
    root = Path(tiny.sets["noise"].source)
    Image.new("L", (40, 20)).save(root / open_dataset(tiny.sets["noise"]).ids[1])
    transform = dataclasses.replace(tiny.preprocessing, center_crop=None)
    with pytest.raises(
        DataError, match=r"noise/.*\.png reaches the network with shape \(1, 16, 32\).*center_crop"
    ):
        extract(dataclasses.replace(tiny, preprocessing=transform))


def test_stop_keeps_finished_shards(tiny: Experiment, forwards: list[int]) -> None:
    reports: list[Progress] = []
    with pytest.raises(StoppedError, match="stopped at"):
        extract(tiny, batch_size=8, progress=reports.append, should_stop=lambda: sum(forwards) > 16)
    assert 16 < sum(forwards) <= 32
    forwards.clear()
    extract(tiny, batch_size=8, progress=reports.append)
    assert sum(forwards) == 35 - 16
    assert reports[-1].done == reports[-1].total == 35


def test_unknown_names_say_what_there_is(tiny: Experiment) -> None:
    with pytest.raises(ModelError, match=r"unknown layer 'blok1'. Did you mean 'block1'"):
        extract(tiny, layers=["blok1"])
    with pytest.raises(ConfigError, match=r"no set 'tset'. Did you mean 'test'"):
        extract(tiny, sets=["tset"])
    acts = extract(tiny)
    with pytest.raises(KeyError, match="no data set 'ood'"):
        acts["ood"]


def test_bad_options_say_what_is_allowed(tiny: Experiment) -> None:
    with pytest.raises(ConfigError, match="engine must be one of local, ray; got 'dask'"):
        extract(tiny, engine="dask")
    with pytest.raises(ConfigError, match="batch_size must be at least 1; got 0"):
        extract(tiny, batch_size=0)
    with pytest.raises(ConfigError, match=r"device 'tpu' is not available here. Use auto, .*cpu"):
        extract(tiny, device="tpu")


def test_a_store_too_small_is_refused_before_work(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OOD_LENS_STORE_GB", "0.00001")
    with pytest.raises(ConfigError, match="more than the store's limit"):
        extract(tiny)


def test_images_without_a_finite_output_are_skipped(
    tiny: Experiment, slow_oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = extract(tiny)["fit"]
    features, counts = expected.features.copy(), expected.layer("block1").active_counts
    oracle = slow_oracle(tiny, "fit")["block1"]
    np.testing.assert_array_equal(counts, (oracle.reshape(20, -1) > 0).sum(0))
    monkeypatch.setenv("OOD_LENS_HOME", os.environ["OOD_LENS_HOME"] + "2")
    bad = Transform(tiny.preprocessing)(open_dataset(tiny.sets["fit"]).load(10))
    original = Runner._run

    def overflowing(self: Runner, images: torch.Tensor) -> torch.Tensor:
        logits = original(self, images)
        same = (images == torch.from_numpy(bad)).flatten(1).all(1)
        return torch.where(same[:, None], torch.nan, logits)

    monkeypatch.setattr(Runner, "_run", overflowing)
    acts = extract(tiny)
    ((skipped, message),) = acts.skipped["fit"]
    assert skipped == expected.ids[10]
    assert "not a finite number" in message
    kept = np.delete(np.arange(20), 10)
    np.testing.assert_allclose(acts["fit"].features, features[kept], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(
        acts["fit"].layer("block1").active_counts, (oracle[kept].reshape(19, -1) > 0).sum(0)
    )


def test_class_names_follow_the_folders(tiny: Experiment) -> None:
    assert extract(tiny).head.names == ("0", "1", "2", "3")
    root = Path(tiny.sets["fit"].source)
    test = Path(tiny.sets["test"].source)
    (root / "3").rename(root / "three")
    (test / "3").rename(test / "three")
    assert extract(tiny).head.names == ("0", "1", "2", "three")
    (root / "three").rename(root / "3")
    (test / "three").rename(test / "3")
    assert prepared(tiny).head.names == ("0", "1", "2", "3")


def test_what_was_assumed_and_what_is_left_out_is_kept_and_said(tiny: Experiment) -> None:
    root = Path(tiny.sets["test"].source)
    ids = open_dataset(tiny.sets["test"]).ids
    first = root / ids[0]
    with Image.open(first) as image:
        wide = np.asarray(image.convert("L")).astype(np.int32)
    first.unlink()
    Image.fromarray(wide).save(first.with_suffix(".tif"))
    (root / "pipe.txt").write_text("x")
    for _ in range(2):  # computed, then read from the store
        acts = extract(tiny)
        ((name, note),) = acts.notes["test"]
        assert name == str(first.with_suffix(".tif").relative_to(root))
        assert note.startswith("32-bit values from ")
        assert [out.path for out in acts.left_out["test"]] == ["pipe.txt"]
        assert acts.notes["fit"] == ()
        (left_out, assumed) = remarks(acts)["test"]
        assert left_out == "Left out: 1 not an image by name (pipe.txt)."
        assert assumed == f"Assumed of 1 image: {name}: {note}."
        assert list(remarks(acts)) == ["test"]

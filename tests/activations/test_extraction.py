from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ood_core.activations import activation_map, embed, extract, prepared, store
from ood_core.activations.capture import captured
from ood_core.activations.engine import EngineOptions, Runner
from ood_core.data import Transform, open_dataset
from ood_core.errors import ConfigError, DataError, ModelError, StoppedError
from ood_core.experiments import Experiment
from ood_core.models import load_model, to_positions
from ood_core.progress import Progress


def slow_oracle(exp: Experiment, name: str) -> dict[str, np.ndarray]:
    """Every layer's maps of a set, kept whole: (n, channels, positions) float64, and logits."""
    loaded = load_model(exp)
    transform = Transform(loaded.preprocessing)
    source = open_dataset(exp.sets[name])
    maps: dict[str, list[np.ndarray]] = {}
    for number in range(len(source)):
        with (
            captured(loaded, loaded.layers, lambda tensor, _: tensor.clone()) as raw,
            torch.inference_mode(),
        ):
            logits = loaded.module(torch.from_numpy(transform(source.load(number))[None]))
            for layer in loaded.layers:
                units = to_positions(raw[layer.name], layer).double().numpy()
                maps.setdefault(layer.name, []).append(units)
            maps.setdefault("logits", []).append(logits.numpy())
    return {layer: np.concatenate(found) for layer, found in maps.items()}


def test_every_statistic_equals_that_of_the_kept_maps(tiny: Experiment) -> None:
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


class TestOutOfMemory:
    def _limited(self, monkeypatch: pytest.MonkeyPatch, limit: int, error: Exception) -> list[int]:
        original, seen = Runner._run, []

        def run(self: Runner, images: torch.Tensor) -> torch.Tensor:
            seen.append(len(images))
            if len(images) > limit:
                raise error
            return original(self, images)

        monkeypatch.setattr(Runner, "_run", run)
        return seen

    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"
            ),
            MemoryError(),
        ],
    )
    def test_batches_are_halved_until_they_fit(
        self, tiny: Experiment, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        expected = extract(tiny, batch_size=8)["fit"].features.copy()
        monkeypatch.setenv("OOD_LENS_HOME", os.environ["OOD_LENS_HOME"] + "2")
        seen = self._limited(monkeypatch, 2, error)
        acts = extract(tiny, batch_size=8)
        assert seen[:3] == [8, 4, 2]
        assert max(seen[3:]) == 2
        np.testing.assert_allclose(acts["fit"].features, expected, rtol=1e-5, atol=1e-6)

    def test_one_image_too_large_is_an_error(
        self, tiny: Experiment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._limited(monkeypatch, 0, MemoryError("no room"))
        with pytest.raises(ModelError, match="one image alone does not fit into the memory of cpu"):
            extract(tiny)

    def test_other_errors_pass(self, tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
        self._limited(monkeypatch, 0, RuntimeError("shapes do not fit"))
        with pytest.raises(RuntimeError, match="shapes do not fit"):
            extract(tiny)


def test_hooks_go_when_the_forward_pass_raises(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(tiny)
    runner = Runner(loaded, EngineOptions("cpu"))
    images = torch.zeros(2, 1, 16, 16)

    def broken(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("halfway")

    monkeypatch.setattr(loaded.head_module, "forward", broken)
    with pytest.raises(RuntimeError, match="halfway"):
        runner.statistics(images, loaded.layers)
    monkeypatch.undo()
    runner.statistics(images, loaded.layers)
    for module in loaded.module.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_a_pass_in_another_thread_is_not_recorded(tiny: Experiment) -> None:
    loaded = load_model(tiny)
    rng = torch.Generator().manual_seed(0)
    mine, other = (torch.randn(n, 1, 16, 16, generator=rng) for n in (2, 3))
    with captured(loaded, loaded.layers, lambda tensor, _: len(tensor)) as found:
        loaded.module(mine)
        thread = threading.Thread(target=lambda: loaded.module(other))
        thread.start()
        thread.join()
    assert set(found.values()) == {2}


def test_images_without_a_finite_output_are_skipped(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
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


def test_compiled_parts_give_the_same_and_go_again(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def fake(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        compiled.append(type(function.__self__).__name__)
        return lambda *arguments: function(*arguments)

    loaded = load_model(tiny)
    images = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    (plain,) = Runner(loaded, EngineOptions("cpu")).statistics(images, loaded.layers)
    monkeypatch.setattr(torch, "compile", fake)
    runner = Runner(loaded, EngineOptions("cpu", compile=True))
    for _ in range(2):
        (found,) = runner.statistics(images, loaded.layers)
        assert torch.equal(found["logits"], plain["logits"])
    assert compiled == ["Sequential"] * 3
    assert not any("forward" in vars(module) for module in loaded.module.modules())


@pytest.mark.parametrize("option", ["amp", "channels_last"])
def test_engine_options_give_nearly_the_same(tiny: Experiment, option: str) -> None:
    plain = extract(tiny)["test"]
    expected = plain.features.copy()
    loaded = load_model(tiny)
    runner = Runner(loaded, EngineOptions("cpu", **{option: True}))
    transform = Transform(loaded.preprocessing)
    source = open_dataset(tiny.sets["test"])
    images = np.stack([transform(source.load(i)) for i in range(len(source))])
    (found,) = runner.statistics(torch.from_numpy(images), loaded.layers)
    tolerance = 0.05 if option == "amp" else 1e-5
    np.testing.assert_allclose(
        found["penultimate"]["pooled"].numpy(), expected, atol=tolerance * expected.max()
    )


def test_embed_equals_extract(tiny: Experiment) -> None:
    acts = extract(tiny)["test"]
    source = open_dataset(tiny.sets["test"])
    images = [source.load(i) for i in range(len(source))]
    uploads = embed(tiny, images, source.ids)
    assert uploads.ids == acts.ids
    assert list(uploads.layers) == list(acts.layers)
    np.testing.assert_allclose(uploads.logits, acts.logits, rtol=1e-4, atol=1e-5)
    for name in uploads.layers:
        np.testing.assert_allclose(uploads.layer(name).l1, acts.layer(name).l1, rtol=1e-5)
        np.testing.assert_array_equal(
            uploads.layer(name).active_counts, acts.layer(name).active_counts
        )
    assert len(store.store_usage()) == 3 * (1 + len(acts.layers))


def test_embed_refuses_bad_input(tiny: Experiment) -> None:
    with pytest.raises(DataError, match="at least one image"):
        embed(tiny, [])
    with pytest.raises(DataError, match="2 names for 1 images"):
        embed(tiny, [Image.new("L", (16, 16))], ["a", "b"])


@pytest.mark.parametrize(("layer", "shape"), [("block2", (32, 8, 8)), ("penultimate", (256, 1, 1))])
def test_activation_map_is_the_layer_as_it_is(
    tiny: Experiment, layer: str, shape: tuple[int, ...]
) -> None:
    source = open_dataset(tiny.sets["test"])
    found = activation_map(tiny, source.load(4), layer)
    assert found.shape == shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found.reshape(shape[0], -1), slow_oracle(tiny, "test")[layer][4], rtol=1e-4, atol=1e-5
    )


def test_activation_map_names_the_layers_there_are(tiny: Experiment) -> None:
    with pytest.raises(ModelError, match=r"unknown layer 'blok2'. Did you mean 'block2'"):
        activation_map(tiny, Image.new("L", (16, 16)), "blok2")


def test_activation_map_of_tokens_is_a_grid_without_the_class_token(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ood_core.activations import single
    from ood_core.models import LayerInfo

    info = LayerInfo("encoder", (1 + 16, 6), "tokens", True, 1)
    tokens = torch.arange(17 * 6, dtype=torch.float32).reshape(1, 17, 6)
    monkeypatch.setattr(Runner, "raw", lambda *_: tokens)
    loaded = dataclasses.replace(load_model(tiny), layers=(info,))
    monkeypatch.setattr(single, "resident_model", lambda _: loaded)
    found = activation_map(tiny, Image.new("L", (16, 16)), "encoder")
    assert found.shape == (6, 4, 4)
    np.testing.assert_array_equal(found[:, 0, 0], tokens[0, 1])
    np.testing.assert_array_equal(found[:, 3, 3], tokens[0, 16])


def test_class_names_follow_the_folders(tiny: Experiment) -> None:
    assert extract(tiny).head.names == ("0", "1", "2", "3")
    root = Path(tiny.sets["fit"].source)
    (root / "3").rename(root / "three")
    assert extract(tiny).head.names == ("0", "1", "2", "three")
    (root / "three").rename(root / "3")
    assert prepared(tiny).head.names == ("0", "1", "2", "3")


@pytest.mark.parametrize(
    ("channels", "positions", "device", "expected"),
    [
        (16, 256, "cpu", 64),  # small maps: the most
        (300, 1024, "cpu", 16),  # 24 MiB hold 20 images
        (2048, 112 * 112, "cpu", 8),  # large maps: the least
        (2048, 112 * 112, "mps", 8),  # 1 GiB holds 10 images
        (16, 256, "mps", 256),
    ],
)
def test_first_batch_fits_the_maps(
    channels: int, positions: int, device: str, expected: int
) -> None:
    from ood_core.activations.engine import _first_batch_size
    from ood_core.models import LayerInfo

    layer = LayerInfo("block", (channels, positions), "map", False, 0)
    assert _first_batch_size([layer], device) == expected

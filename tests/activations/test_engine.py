"""The forward pass: memory, hooks, compiled and half precision."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from ood_core.activations import extract
from ood_core.activations.capture import captured
from ood_core.activations.engine import EngineOptions, Runner
from ood_core.data import Transform, open_dataset
from ood_core.errors import ModelError
from ood_core.experiments import Experiment
from ood_core.models import load_model


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

"""The transform equals torchvision's on PIL images, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ood_core.data import Transform
from ood_core.errors import DataError
from ood_core.experiments import Preprocessing

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
SIZES = [(32, 32), (8, 8), (1, 1), (31, 47), (47, 31), (640, 427), (3, 200), (224, 225)]


def noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(sum(size))
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    return Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))


def reference(p: Preprocessing, image: Image.Image) -> np.ndarray:
    from torchvision import transforms as t

    mode = t.InterpolationMode(p.interpolation)
    steps = [t.Lambda(lambda i: i.convert(p.mode))]
    steps += [t.Resize(p.resize, mode)] if p.resize else []
    steps += [t.CenterCrop(p.center_crop)] if p.center_crop else []
    steps += [t.ToTensor(), t.Normalize(p.mean, p.std)]
    return t.Compose(steps)(image).numpy()


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "box", "lanczos"])
@pytest.mark.parametrize(("resize", "crop"), [
    (32, 32), (40, 33), (33, 40), (None, 24), (16, None), ((24, 40), None), ((40, 40), 33),
])  # fmt: skip
def test_bit_equal_to_torchvision(
    size: tuple[int, int],
    interpolation: str,
    resize: int | tuple[int, int] | None,
    crop: int | None,
) -> None:
    p = Preprocessing(resize, crop, MEAN, STD, interpolation)
    result = Transform(p)(noise(size))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, reference(p, noise(size)))


def test_bit_equal_for_grey_images_and_grey_networks() -> None:
    grey = Preprocessing(16, 16, (0.3,), (0.32,), mode="L")
    for p in (grey, Preprocessing(16, 16, MEAN, STD)):
        for image in (noise((8, 8), "L"), noise((21, 13))):
            np.testing.assert_array_equal(Transform(p)(image), reference(p, image))


def test_every_byte_value_is_normalised_as_torch_does() -> None:
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    p = Preprocessing(mean=MEAN, std=STD)
    np.testing.assert_array_equal(Transform(p)(image), reference(p, image))


def test_the_result_is_one_block_of_memory() -> None:
    assert Transform(Preprocessing(32, 32))(noise((50, 40))).flags["C_CONTIGUOUS"]


def test_a_very_long_strip_does_not_explode() -> None:
    rng = np.random.default_rng(0)
    strip = Image.fromarray(rng.integers(0, 256, (1, 60000, 3), dtype=np.uint8))
    result = Transform(Preprocessing(224, 224))(strip)
    assert result.shape == (3, 224, 224)
    middle = np.asarray(strip)[0, 29999:30001].mean() / 255
    assert abs(result.mean() - middle) < 0.15
    with pytest.raises(
        DataError, match=r"60,000 x 1 pixels would be resized to .* set center_crop"
    ):
        Transform(Preprocessing(224))(strip)


def test_a_tall_strip_keeps_its_orientation() -> None:
    ramp = np.repeat(np.linspace(0, 255, 60000).astype(np.uint8)[:, None], 1, axis=1)
    seen = Transform(Preprocessing(300, 224, (0.0,), (1.0,), mode="L")).image(Image.fromarray(ramp))
    assert seen.size == (224, 224)
    assert abs(np.asarray(seen).mean() - 127.5) < 2

"""preprocessor_config.json: images become what transformers' own processor makes of them.

Sizes leave an even number of pixels beside each crop: of an odd number, torchvision, whose crop
ours is, and transformers leave the one more on different sides.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ood_core.data import Transform
from ood_core.errors import ModelError
from ood_core.experiments import ClassifierSpec
from ood_core.models.network_files import network_preprocessing
from tests.models.huggingface_folders import edit

pytest.importorskip("transformers")

CASES = {
    "square": ("ViT", {"size": {"height": 32, "width": 32}, "resample": 2}),
    "oblong": ("ViT", {"size": {"height": 24, "width": 40}, "resample": 3}),
    "one-number": ("ViT", {"size": 30}),
    "defaults": ("ViT", {}),
    "shorter": ("CLIP", {"size": {"shortest_edge": 36}, "crop_size": {"height": 28, "width": 28}}),
    "shorter-number": ("CLIP", {"size": 36, "crop_size": 28}),
    "clip-defaults": ("CLIP", {}),
    "no-crop": ("CLIP", {"size": {"shortest_edge": 32}, "do_center_crop": False, "resample": 1}),
    "no-resize": ("CLIP", {"do_resize": False, "crop_size": 40}),
    "no-normalise": ("ViT", {"size": 32, "do_normalize": False}),
    "no-rescale": ("ViT", {"size": 32, "do_rescale": False, "image_mean": [99.0] * 3}),
    "factor": ("ViT", {"size": 32, "rescale_factor": 1 / 127.5}),
    "box": ("ViT", {"size": 32, "resample": 4}),
    "nearest": ("ViT", {"size": 32, "resample": 0}),
    "statistics": ("ViT", {"size": 32, "image_mean": [0.1, 0.2, 0.3],
                           "image_std": [0.5, 0.6, 0.7]}),
    "deit": ("DeiT", {"size": 36, "crop_size": 32}),
    "beit": ("Beit", {"size": 32}),
    "siglip": ("Siglip", {"size": {"height": 32, "width": 32}}),
    "convnext": ("ConvNext", {"size": {"shortest_edge": 28}, "crop_pct": 0.875}),
    "convnext-crop-pct": ("ConvNext", {"size": {"shortest_edge": 36}, "crop_pct": 0.9}),
    "convnext-large": ("ConvNext", {"size": {"shortest_edge": 384}}),
    "convnext-number": ("ConvNext", {"size": 28}),
    "bit": ("Bit", {"size": {"shortest_edge": 36}, "crop_size": 28}),
    "levit": ("Levit", {"size": {"shortest_edge": 28}, "crop_size": 28}),
    "poolformer": ("PoolFormer", {"size": {"shortest_edge": 36}, "crop_size": 36}),
    "mobilenet": ("MobileNetV2", {"size": {"shortest_edge": 36}, "crop_size": 28}),
    "efficientnet": ("EfficientNet", {"size": 32, "image_std": [0.5, 0.4, 0.3]}),
    "efficientnet-once": ("EfficientNet", {"size": 32, "include_top": False}),
    "efficientnet-offset": ("EfficientNet", {"size": 32, "rescale_offset": True,
                                             "rescale_factor": 1 / 127.5, "include_top": False}),
    "pvt": ("Pvt", {"size": 32}),
    "segformer": ("Segformer", {"size": 32}),
}  # fmt: skip


def folder(tmp_path: Path, kind: str, values: dict) -> ClassifierSpec:
    edit(tmp_path, model_type="vit")
    edit(
        tmp_path, "preprocessor_config.json", image_processor_type=f"{kind}ImageProcessor", **values
    )
    return ClassifierSpec("huggingface", checkpoint=tmp_path)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [(60, 60), (96, 64), (64, 96)], ids=str)
def test_images_as_transformers_makes_them(
    tmp_path: Path, case: str, size: tuple[int, int]
) -> None:
    import transformers

    kind, values = CASES[case]
    found = network_preprocessing(folder(tmp_path, kind, values))
    assert found is not None
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    named = getattr(transformers, f"{kind}ImageProcessorPil")
    own = named.from_dict(values)(images=image, return_tensors="np")["pixel_values"][0]
    ours = Transform(found)(image)
    assert ours.shape == own.shape
    scale = max(1.0, float(abs(own).max()))
    np.testing.assert_allclose(ours, own, rtol=0, atol=2e-6 * scale)


def test_old_names_and_processors_within_processors(tmp_path: Path) -> None:
    edit(tmp_path, model_type="clip")
    edit(tmp_path, "processor_config.json", image_processor={
        "feature_extractor_type": "CLIPFeatureExtractor", "size": 36, "crop_size": 28})  # fmt: skip
    found = network_preprocessing(ClassifierSpec("huggingface", checkpoint=tmp_path))
    assert found is not None
    assert (found.resize, found.center_crop, found.interpolation) == (36, 28, "bicubic")


def test_one_channel(tmp_path: Path) -> None:
    spec = folder(tmp_path, "ViT", {"size": 28, "image_mean": [0.5], "image_std": [0.5]})
    edit(tmp_path, num_channels=1)
    found = network_preprocessing(spec)
    assert found is not None
    assert (found.mode, found.mean) == ("L", (0.5,))


def test_none_is_stated(tmp_path: Path) -> None:
    edit(tmp_path, model_type="vit")
    assert network_preprocessing(ClassifierSpec("huggingface", checkpoint=tmp_path)) is None
    assert network_preprocessing(folder(tmp_path, "SomeOther", {"do_resize": True})) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": {"longest_edge": 32}}, "resizes to"),
        ({"size": 32, "resample": 5}, "resamples with 5"),
        ({"size": 36, "do_center_crop": True, "crop_size": [20, 30]}, "no square"),
        ({"size": "large"}, "cannot be read"),
        ({"size": 32, "image_mean": ["a", "b", "c"]}, "cannot be read"),
        ({"size": 32, "auto_map": {"AutoImageProcessor": "x.Y"}}, "code of its own"),
    ],
)
def test_steps_that_cannot_be_done(tmp_path: Path, values: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        network_preprocessing(folder(tmp_path, "ViT", values))

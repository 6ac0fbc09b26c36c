"""Zero-shot heads and linear probes on networks without a head."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from ood_core.activations import extract, prepared
from ood_core.data import open_dataset
from ood_core.errors import ConfigError, ModelError
from ood_core.experiments import ClassifierSpec, Experiment, load_experiment, save_experiment
from ood_core.models import PENULTIMATE, load_model, tail
from ood_core.models.encoder_heads import with_head
from ood_core.models.fingerprint import model_fingerprint
from ood_core.models.found_network import FoundNetwork
from ood_core.models.head_files import read_head, read_text
from ood_core.models.layer_info import LayerInfo
from ood_core.models.loaded import inspect_module
from ood_core.scoring import score

RNG = np.random.default_rng(0)
NAMES = list("abcdefghij")
TEXT = RNG.normal(size=(10, 512))
WEIGHT, BIAS = RNG.normal(size=(10, 512)) / 20, RNG.normal(size=10)
EXPERIMENT = """
[classifier]
architecture = "torchvision:resnet18"
random_weights = 0
{keys}
[preprocessing]
resize = 32
center_crop = 32
[id]
fit = {{ builtin = "digits:fit", limit = 12 }}
test = {{ builtin = "digits:test", limit = 12 }}
[[ood]]
name = "noise"
builtin = "digits:noise"
limit = 12
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Experiment]:
    def make(keys: str) -> Experiment:
        path = tmp_path / "made.toml"
        path.write_text(EXPERIMENT.format(keys=keys))
        return load_experiment(path)

    np.savez(tmp_path / "text.npz", embeddings=TEXT, names=np.array(NAMES))
    np.savez(tmp_path / "head.npz", weight=WEIGHT, bias=BIAS)
    return make


def features(exp: Experiment, images: torch.Tensor) -> np.ndarray:
    import torchvision

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(exp.classifier.random_weights or 0)
        network = torchvision.models.resnet18(num_classes=1000)
    network.fc = torch.nn.Identity()
    with torch.no_grad():
        found: np.ndarray = network.eval()(images).double().numpy()
    return found


def slow_logits(h: np.ndarray, temperature: float) -> np.ndarray:
    def cosine(a: Any, b: Any) -> float:
        product = sum(x * y for x, y in zip(a, b, strict=True))
        return product / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    return np.array([[cosine(row, t) / temperature for t in TEXT] for row in h])


IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("line", "temperature"), [("", 0.01), ("temperature = 0.5", 0.5)])
def test_zero_shot_logits(write: Callable, line: str, temperature: float) -> None:
    model = load_model(write(f'text = "text.npz"\n{line}'))
    h = features(write('text = "text.npz"'), IMAGES)
    with torch.no_grad():
        found = model.module(IMAGES).numpy()
    expected = slow_logits(h, temperature)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 / temperature * 0.01)
    unit = h / np.linalg.norm(h, axis=1, keepdims=True)
    np.testing.assert_allclose(model.head.logits(unit), expected, rtol=1e-5, atol=1e-5)
    assert model.head.temperature == temperature
    assert model.class_names == tuple(NAMES)
    assert [layer.name for layer in model.layers][-2:] == ["embedding", PENULTIMATE]
    ahead = tail(model, "embedding")(torch.from_numpy(h).float())
    np.testing.assert_allclose(ahead.detach().numpy(), found, rtol=1e-4, atol=1e-4)


def test_linear_probe(write: Callable) -> None:
    exp = write('head = "head.npz"')
    model = load_model(exp)
    with torch.no_grad():
        found = model.module(IMAGES).numpy()
    np.testing.assert_allclose(found, features(exp, IMAGES) @ WEIGHT.T + BIAS, rtol=1e-4, atol=1e-5)
    assert model.head.temperature is None
    assert "embedding" not in [layer.name for layer in model.layers]


def test_from_the_file_to_scores_and_back_from_the_store(
    write: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "text.npz", embeddings=TEXT)
    exp = write('text = "text.npz"')
    first = extract(exp)
    mcm = score(first, "mcm").id_scores
    norms = score(first, "feature_norm", layer="embedding").id_scores
    assert np.ptp(norms) > 1e-3
    monkeypatch.setattr("ood_core.activations.extraction.resident_model", None)
    again = prepared(exp)
    assert again is not None
    assert again.head is not None
    assert again.head.temperature == 0.01
    np.testing.assert_array_equal(score(again, "mcm").id_scores, mcm)
    np.testing.assert_allclose(np.linalg.norm(again["test"].features, axis=1), 1, rtol=1e-5)


def test_the_bytes_of_the_files_are_part_of_the_key(write: Callable, tmp_path: Path) -> None:
    keys = [model_fingerprint(write(k)) for k in (
        "num_classes = 0", 'text = "text.npz"', 'text = "text.npz"\ntemperature = 0.5',
        'head = "head.npz"',
    )]  # fmt: skip
    np.savez(tmp_path / "text.npz", embeddings=TEXT + 1)
    keys.append(model_fingerprint(write('text = "text.npz"')))
    assert len(set(keys)) == 5


def test_writing_gives_the_experiment_back(write: Callable, tmp_path: Path) -> None:
    for keys in ('text = "text.npz"\ntemperature = 0.5', 'head = "head.npz"'):
        exp = write(keys)
        written = save_experiment(exp, tmp_path / "again.toml", overwrite=True)
        assert load_experiment(written).classifier == exp.classifier


BAD_KEYS = {
    "both": ('text = "text.npz"\nhead = "head.npz"', "head or text, not both"),
    "classes": ('text = "text.npz"\nnum_classes = 3', "num_classes must be left out, or 0"),
    "no-file": ('text = "nothing.npz"', "does not exist. Looked at"),
    "folder": ('head = "."', "is not a file"),
    "temperature": ('text = "text.npz"\ntemperature = 0', "temperature must be a number above 0"),
    "nan": ('text = "text.npz"\ntemperature = nan', "temperature must be a number above 0"),
    "alone": ('num_classes = 0\ntemperature = 0.1', "give text = … too"),
    "order": ('text = "text.npz"\nclass_names = ["b", "a", "c"]', "in their order"),
    "others": ('text = "text.npz"\nclass_names = ["x", "y", "z"]', "must be the names in"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_KEYS)
def test_keys_that_do_not_go_together(write: Callable, case: str) -> None:
    keys, message = BAD_KEYS[case]
    with pytest.raises(ConfigError, match=message):
        write(keys)


def test_names_that_occur_twice(write: Callable, tmp_path: Path) -> None:
    np.savez(tmp_path / "text.npz", embeddings=TEXT, names=np.array(["a", "b", "a"]))
    with pytest.raises(ConfigError, match="names a more than once"):
        write('text = "text.npz"')


class Writes:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("reader", [read_head, read_text])
def test_nothing_in_a_file_is_run(tmp_path: Path, reader: Callable) -> None:
    proof, path = tmp_path / "proof", tmp_path / "file.npz"
    bad = np.array([[Writes(proof)]], dtype=object)
    np.savez(path, embeddings=bad, weight=bad)
    with pytest.raises(ModelError, match="which only unpickling reads"):
        reader(path)
    path.write_bytes(pickle.dumps({"weight": Writes(proof), "embeddings": Writes(proof)}))
    with pytest.raises(ModelError):
        reader(path)
    torch.save({"weight": Writes(proof)}, path)
    with pytest.raises(ModelError, match="pickled Python objects"):
        reader(path)
    assert not proof.exists()


def spoiled(row: int, value: float) -> np.ndarray:
    changed = TEXT.copy()
    changed[row] = value
    return changed


BAD_TEXT = {
    "nan": (spoiled(1, np.nan), "embedding of class 1 holds NaN"),
    "infinity": (spoiled(2, np.inf), "embedding of class 2 holds NaN or infinity"),
    "zero": (spoiled(0, 0), "embedding of class 0 is zero"),
    "one-class": (TEXT[:1], "two classes or more"),
    "flat": (TEXT[0], r"must have shape \(classes, features\), got \(512,\)"),
    "texts": (np.array([["a"]]), "must hold real numbers"),
    "complex": (TEXT * 1j, "must hold real numbers"),
}


@pytest.mark.parametrize("case", BAD_TEXT)
def test_embeddings_that_cannot_be_used(tmp_path: Path, case: str) -> None:
    array, message = BAD_TEXT[case]
    np.savez(tmp_path / "t.npz", text=array)
    with pytest.raises(ModelError, match=message):
        read_text(tmp_path / "t.npz")


def test_arrays_that_are_missing_and_sizes_that_differ(tmp_path: Path, write: Callable) -> None:
    np.savez(tmp_path / "t.npz", vectors=TEXT)
    with pytest.raises(ModelError, match=r"'embeddings' or 'text'.*vectors"):
        read_text(tmp_path / "t.npz")
    with pytest.raises(ModelError, match=r"'weight'.*vectors"):
        read_head(tmp_path / "t.npz")
    np.savez(tmp_path / "t.npz", weight=WEIGHT, bias=BIAS[:2])
    with pytest.raises(ModelError, match=r"bias must have shape \(10,\)"):
        read_head(tmp_path / "t.npz")
    np.savez(tmp_path / "text.npz", embeddings=TEXT[:, :100])
    with pytest.raises(ModelError, match=r"gives 512 features .*embeddings have 100"):
        load_model(write('text = "text.npz"'))
    np.savez(tmp_path / "head.npz", weight=WEIGHT[:, :100])
    with pytest.raises(ModelError, match=r"gives 512 features .*head takes 100"):
        load_model(write('head = "head.npz"'))
    np.savez(tmp_path / "head.npz", weight=WEIGHT.T)
    with pytest.raises(ModelError) as refused:
        load_model(write('head = "head.npz"'))
    assert "save its transpose" in str(refused.value)
    assert "resize" not in str(refused.value)
    np.savez(tmp_path / "text.npz", embeddings=TEXT, names=np.array(["a", "b"]))
    with pytest.raises(ModelError, match="names 2 classes but its network has 10"):
        load_model(write('text = "text.npz"'))


@pytest.mark.parametrize("temperature", ["1e-40", "1e300"])
def test_temperatures_that_float32_cannot_hold(
    write: Callable, tmp_path: Path, temperature
) -> None:
    np.savez(tmp_path / "text.npz", embeddings=TEXT)
    with pytest.raises(ModelError, match="is no temperature of cosines"):
        load_model(write(f'text = "text.npz"\ntemperature = {temperature}'))


def test_other_kinds_of_files(tmp_path: Path) -> None:
    torch.save({"weight": torch.from_numpy(WEIGHT).half()}, tmp_path / "probe.pt")
    head = read_head(tmp_path / "probe.pt")
    assert head.bias is not None
    assert not head.bias.any()
    np.testing.assert_allclose(head.weight, WEIGHT, atol=1e-3)
    save_file({"text": TEXT.astype(np.float32)}, tmp_path / "t.safetensors",
              {"names": '["cat", "dog", "horse"]'})  # fmt: skip
    unit = TEXT / np.linalg.norm(TEXT, axis=1, keepdims=True)
    np.testing.assert_allclose(read_text(tmp_path / "t.safetensors"), unit, rtol=1e-6)
    from ood_core.experiments.text_names import text_names

    assert text_names(tmp_path / "t.safetensors") == ("cat", "dog", "horse")
    for names in (["a", "déjà vu", "犬"], np.array([b"a", b"bc"]), ["x" * 300]):
        np.savez(tmp_path / "n.npz", names=names)
        expected = [n.decode() if isinstance(n, bytes) else str(n) for n in names]
        assert list(text_names(tmp_path / "n.npz") or ()) == expected
    np.savez(tmp_path / "n.npz", names=np.array(["a", None], dtype=object))
    assert text_names(tmp_path / "n.npz") is None


class Opaque(torch.nn.Module):
    """A network that autograd does not see into, as ONNX files are run."""

    def __init__(self) -> None:
        super().__init__()
        self.early = torch.nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        h = self.early(torch.from_numpy(images.detach().numpy().reshape(len(images), -1)[:, :40]))
        return torch.from_numpy(np.maximum(h.numpy()[:, :12], 0) - 0.1)

    def ood_found_network(self, input_shape: tuple[int, int, int], headless: bool) -> FoundNetwork:
        assert headless
        layers = (
            LayerInfo("early", (40,), "vector", True),
            LayerInfo(PENULTIMATE, (12,), "vector"),
        )
        return FoundNetwork("", None, layers, "it runs elsewhere")


@pytest.mark.parametrize("key", ["text", "head"])
def test_a_network_that_autograd_does_not_see_into(tmp_path: Path, key: str) -> None:
    np.savez(tmp_path / "f.npz", text=TEXT[:3, :12], weight=WEIGHT[:3, :12], bias=BIAS[:3])
    spec = ClassifierSpec("onnx", num_classes=0, **{key: tmp_path / "f.npz"})
    module = with_head(Opaque(), spec)
    found = inspect_module(module, (3, 8, 8))
    names = [layer.name for layer in found.layers]
    assert names == ["encoder.early", *["embedding"][: key == "text"], PENULTIMATE]
    assert found.no_gradients == "it runs elsewhere"
    images = torch.randn(4, 3, 8, 8)
    h = Opaque()(images).double().numpy()
    h = h / np.linalg.norm(h, axis=1, keepdims=True) if key == "text" else h
    assert found.head is not None
    with torch.no_grad():
        np.testing.assert_allclose(module(images), found.head.logits(h), rtol=1e-4, atol=1e-4)
    np.savez(tmp_path / "f.npz", text=TEXT[:3, :7], weight=WEIGHT[:3, :7])
    with pytest.raises(ModelError, match="12 features"):
        inspect_module(with_head(Opaque(), spec), (3, 8, 8))


def test_names_beside_the_embeddings_number_the_folders(tmp_path: Path) -> None:
    from PIL import Image

    for part in ("fit", "test"):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(tmp_path / part / name / "a.png")
    np.savez(tmp_path / "text.npz", embeddings=TEXT[:2], names=["dog", "cat"])
    body = EXPERIMENT.format(keys='text = "text.npz"')
    for part in ("fit", "test"):
        body = body.replace(f'builtin = "digits:{part}", limit = 12', f'folder = "{part}"')
    (tmp_path / "made.toml").write_text(body)
    images = open_dataset(load_experiment(tmp_path / "made.toml").sets["fit"])
    named = {
        image.split("/")[0]: int(c) for image, c in zip(images.ids, images.labels, strict=True)
    }
    assert named == {"cat": 1, "dog": 0}


def test_clip_brings_its_own_temperature(tmp_path: Path, write: Callable) -> None:
    pytest.importorskip("transformers")
    from tests.models.huggingface_folders import saved

    own = saved(tmp_path / "clip", "CLIP", "Model", labels=None)
    texts = RNG.normal(size=(3, 24))
    np.savez(tmp_path / "text.npz", text=texts)
    path = tmp_path / "clip.toml"
    body = EXPERIMENT.replace('architecture = "torchvision:resnet18"\nrandom_weights = 0', "{clip}")
    path.write_text(body.format(clip='checkpoint = "clip"', keys='text = "text.npz"'))
    model = load_model(load_experiment(path))
    images = IMAGES
    with torch.no_grad():
        h = own.get_image_features(pixel_values=images).pooler_output.double()
        scale = own.logit_scale.exp().item()
        found = model.module(images).double()
    unit = torch.from_numpy(texts / np.linalg.norm(texts, axis=1, keepdims=True))
    expected = scale * (h / h.norm(dim=1, keepdim=True)) @ unit.T
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert model.head.temperature == pytest.approx(1 / scale)

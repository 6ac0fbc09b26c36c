"""A file is what its content says, whatever it is called; each kind has a message of its own."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from ood_core.errors import ModelError
from ood_core.models import model_fingerprint, nearest
from ood_core.models.checkpoints import read_checkpoint
from ood_core.models.fitting import load_weights, randomise
from ood_core.models.published_weights import WeightsMissingError

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".tar", ".safetensors", ".pkl", ".onnx", "", ".npz")


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


STATE = dict(randomise(network, 1).state_dict())


@pytest.fixture(autouse=True)
def few_architectures(monkeypatch):
    monkeypatch.setattr(nearest, "_names", lambda: ("digits_cnn",))


def torch_bytes(content=STATE, **options) -> bytes:
    out = io.BytesIO()
    torch.save(content, out, **options)
    return out.getvalue()


def npz_bytes(**arrays) -> bytes:
    out = io.BytesIO()
    np.savez(out, **(arrays or {k: v.numpy() for k, v in STATE.items()}))
    return out.getvalue()


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def packed_anew() -> bytes:
    """What unpacking and zipping a checkpoint makes of it: its entries are compressed."""
    with zipfile.ZipFile(io.BytesIO(torch_bytes())) as archive:
        return zipped(**{name: archive.read(name) for name in archive.namelist()})


READ = {
    "torch": torch_bytes,
    "torch before 1.6": lambda: torch_bytes(_use_new_zipfile_serialization=False),
    "safetensors": lambda: save(STATE),
    "safetensors with metadata": lambda: save(STATE, {"format": "pt"}),
    "npz": npz_bytes,
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", READ.values(), ids=READ)
def test_suffixes_do_not_matter(make, suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(make())
    fresh = network()
    load_weights(fresh, path, "mine")
    assert all(torch.equal(v, STATE[k]) for k, v in fresh.state_dict().items())


class Own(nn.Module):
    pass


def script() -> bytes:
    out = io.BytesIO()
    torch.jit.save(torch.jit.script(network().eval()), out)
    return out.getvalue()


def program() -> bytes:
    out = io.BytesIO()
    torch.export.save(torch.export.export(network().eval(), (torch.zeros(1, 1, 8, 8),)), out)
    return out.getvalue()


ONNX = b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\xd4\x01\n\x0e\n\x01x\x12\x01y" + bytes(range(256))
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
WHOLE = ("cut off", "again", "damaged")
"""What must not be said of a whole file."""

REFUSED = {
    "empty": (b"", "is empty (0 bytes)"),
    "LFS pointer": (LFS, "git lfs pull"),
    "web page": (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "a web page (HTML)"),
    "web page, small letters": (b"\xef\xbb\xbf<html><head>", "a web page (HTML)"),
    "error text": (b"Entry not found", "a text file that begins with 'Entry not found'"),
    "XML error": (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "a text file"),
    "JSON": (b'{"error": "gated repository"}', "a JSON text"),
    "gzip": (gzip.compress(torch_bytes()), "compressed (gzip). Unpack it first: gzip -dc"),
    "bzip2": (bz2.compress(torch_bytes()), "compressed (bzip2)"),
    "xz": (lzma.compress(torch_bytes()), "compressed (xz)"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(range(99)), "compressed (zstd)"),
    "zip of a checkpoint": (
        zipped(**{"run/best.pth": torch_bytes()}), "a zip archive of 1 files (run/best.pth)",
    ),
    "tar": (tarred("best.pth", torch_bytes()), "a tar archive"),
    "legacy tar": (tarred("pickle", b"x"), "PyTorch before 0.2"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file, as Keras writes"),
    "Keras": (zipped(**{"config.json": b"{}", "model.weights.h5": b"x"}), "a Keras archive"),
    "GGUF": (b"GGUF\x03\0\0\0" + bytes(99), "a GGUF file"),
    "TFLite": (b"\x1c\0\0\0TFL3" + bytes(99), "TensorFlow Lite"),
    "msgpack": (b"\x83\xa6params\x82\xa5conv1" + bytes(range(200)), "Flax"),
    "ONNX": (ONNX, "an ONNX file"),
    "numpy array": (b"\x93NUMPY\x01\0" + bytes(99), "one NumPy array"),
    "plain pickle": (pickle.dumps({"a": 1}), "a pickle that torch.save did not write"),
    "zeros": (bytes(4096), "begins with zeros, as interrupted downloads do"),
    "noise": (bytes(range(200, 256)) * 9, "c8 c9 ca cb cc cd ce cf"),
    "TorchScript": (script, "a TorchScript archive"),
    "export program": (program, "a torch.export program"),
    "whole network": (lambda: torch_bytes(Own()), "pickled Python objects"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".pt2"])
@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED)
def test_every_other_kind_is_told_as_what_it_is(content, said, suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content() if callable(content) else content)
    with pytest.raises(ModelError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert said in message
    assert message.startswith(path.name)
    if said not in ("is empty (0 bytes)",) and "zeros" not in said:
        assert not any(word in message for word in WHOLE), message


def test_a_pickled_object_is_named_and_never_run(tmp_path):
    (tmp_path / "net.pt").write_bytes(torch_bytes({"model": Own()}))
    with pytest.raises(ModelError, match=r"objects \(.*test_checkpoint_formats\.Own\)"):
        read_checkpoint(tmp_path / "net.pt")


@pytest.mark.parametrize("make", [READ["torch"], READ["torch before 1.6"], READ["safetensors"]])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_cut_off_file_is_told_so(make, share, tmp_path):
    path, whole = tmp_path / "net.pth", make()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=r"net\.pth is not a complete .*cut off.*Copy or download"):
        read_checkpoint(path)


def test_damage_anywhere_is_an_error_of_ours_or_reads(tmp_path):
    """Never a traceback: every byte of the head of each format is changed once."""
    path = tmp_path / "net.pth"
    for make in READ.values():
        whole = bytearray(make())
        for place in (*range(0, 60), *range(60, len(whole), max(1, len(whole) // 60))):
            damaged = bytearray(whole)
            damaged[place] ^= 0x55
            path.write_bytes(damaged)
            with contextlib.suppress(ModelError):
                read_checkpoint(path)


def test_an_archive_packed_anew_reads_or_says_so(tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(packed_anew())
    assert read_checkpoint(path).keys() == STATE.keys()


def test_tensors_are_mapped_not_copied(tmp_path):
    """A large file is read where it is used: opening it takes no memory of its size."""
    path = tmp_path / "large.pth"
    torch.save({"w": torch.zeros(64, 2**20)}, path)
    before = _resident()
    held = read_checkpoint(path)
    assert _resident() - before < 100 * 2**20
    assert held["w"].shape == (64, 2**20)


def _resident() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("needs /proc")
    text = status.read_text()
    return 1024 * int(text.partition("RssAnon:")[2].split()[0])


def test_arrays_of_objects_are_not_loaded(tmp_path):
    (tmp_path / "net.npz").write_bytes(npz_bytes(a=np.array([{}], dtype=object)))
    with pytest.raises(ModelError, match="no plain numbers"):
        read_checkpoint(tmp_path / "net.npz")


def sharded(folder: Path, kind: str = "safetensors") -> Path:
    names = list(STATE)
    halves = {"00001": names[:2], "00002": names[2:]}
    end = "safetensors" if kind == "safetensors" else "bin"
    stem = "model" if kind == "safetensors" else "pytorch_model"
    where = {}
    for number, part in halves.items():
        file = folder / f"{stem}-{number}-of-00002.{end}"
        held = {name: STATE[name] for name in part}
        save_file(held, file) if kind == "safetensors" else torch.save(held, file)
        where |= dict.fromkeys(part, file.name)
    index = folder / f"{stem}.{end}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}))
    return index


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_an_index_is_read_with_its_shards(kind, tmp_path):
    index = sharded(tmp_path, kind)
    fresh = network()
    report = load_weights(fresh, index, "mine")
    assert all(torch.equal(v, STATE[k]) for k, v in fresh.state_dict().items())
    assert report.tensors == len(STATE)


def test_a_missing_shard_is_named(tmp_path):
    index = sharded(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(WeightsMissingError, match=r"1 of the 2 files .*model-00002-of-00002"):
        read_checkpoint(index)


def test_a_shard_of_another_checkpoint_is_named(tmp_path):
    index = sharded(tmp_path)
    one, two = sorted(tmp_path.glob("model-*"))
    shutil.copy(one, two)
    with pytest.raises(ModelError, match=r"00002-of-00002\.safetensors lacks 2 of the tensors"):
        read_checkpoint(index)


@pytest.mark.parametrize("name", ["../secret.bin", "/etc/passwd", "", "..", "a\\b"])
def test_an_index_leads_nowhere_else(name, tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"0.weight": name}}))
    with pytest.raises(ModelError, match="no file beside it"):
        read_checkpoint(index)


def test_an_index_that_names_itself(tmp_path):
    index = tmp_path / "i.json"
    index.write_text(json.dumps({"weight_map": {"0.weight": "i.json"}}))
    with pytest.raises(ModelError, match="an index itself"):
        read_checkpoint(index)


def test_one_shard_alone_says_where_the_rest_is(tmp_path):
    sharded(tmp_path)
    with pytest.raises(ModelError, match="one of several shards: name their index"):
        load_weights(network(), tmp_path / "model-00001-of-00002.safetensors", "mine")


def test_a_changed_shard_is_another_classifier(tmp_path, experiment):
    index = sharded(tmp_path)
    first = model_fingerprint(experiment("digits_cnn", checkpoint=index))
    save_file({"x": torch.ones(2, 2)}, tmp_path / "model-00002-of-00002.safetensors")
    assert model_fingerprint(experiment("digits_cnn", checkpoint=index)) != first


def test_a_folder_says_what_to_name(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(save(STATE))
    with pytest.raises(ModelError, match=r"is a folder; name the file in it: 'model.safetensors'"):
        read_checkpoint(tmp_path)
    for config, whose in (
        ({"architecture": "resnet18"}, r"timm \(resnet18\)"),
        ({"architectures": ["ViTForX"]}, r"Hugging Face transformers \(ViTForX\)"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config))
        said = rf"{whose}, which is opened as it is: name the folder and leave architecture out"
        for path in (tmp_path, tmp_path / "config.json"):
            with pytest.raises(ModelError, match=said):
                read_checkpoint(path)
    with pytest.raises(ModelError, match=r"a JSON text.*name the file in it: 'model\.safetensors'"):
        read_checkpoint(tmp_path / "config.json")


def test_a_folder_of_shards_names_the_index_first(tmp_path):
    sharded(tmp_path)
    with pytest.raises(ModelError, match=r"in it: 'model\.safetensors\.index\.json'"):
        read_checkpoint(tmp_path)


def test_a_distributed_checkpoint_is_told(tmp_path):
    (tmp_path / "__0_0.distcp").write_bytes(b"x")
    with pytest.raises(ModelError, match="dcp_to_torch"):
        read_checkpoint(tmp_path)

"""Files of features: every format gives the same rows, and what is wrong is said."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ood_core.data import BrokenImageError, open_dataset
from ood_core.data.features import FeatureSet, open_arrays
from ood_core.errors import DataError
from ood_core.experiments import DataSpec

N, D, C = 2500, 5, 3


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "early": rng.normal(size=(N, 4)).astype(np.float32),
        "features": rng.normal(size=(N, D)).astype(np.float32),
        "logits": rng.normal(size=(N, C)).astype(np.float32),
        "labels": rng.integers(0, C, N),
        "ids": np.array([f"clip {i}" for i in range(N)]),
    }


def npz(path: Path, found: dict[str, np.ndarray]) -> Path:
    np.savez(path / "a.npz", **found)
    return path / "a.npz"


def packed_npz(path: Path, found: dict[str, np.ndarray]) -> Path:
    np.savez_compressed(path / "a.npz", **found)
    return path / "a.npz"


def folder(path: Path, found: dict[str, np.ndarray]) -> Path:
    (path / "a").mkdir()
    for name, array in found.items():
        np.save(path / "a" / f"{name}.npy", array)
    return path / "a"


def columnwise(path: Path, found: dict[str, np.ndarray]) -> Path:
    return npz(path, {name: np.asfortranarray(array) for name, array in found.items()})


def columnwise_packed(path: Path, found: dict[str, np.ndarray]) -> Path:
    return packed_npz(path, {name: np.asfortranarray(array) for name, array in found.items()})


def big_endian(path: Path, found: dict[str, np.ndarray]) -> Path:
    turned = {
        k: a.astype(a.dtype.newbyteorder(">")) for k, a in found.items() if a.dtype.kind != "U"
    }
    return npz(path, {**found, **turned})


def parquet_lists(path: Path, found: dict[str, np.ndarray]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {k: list(a) if a.ndim == 2 else a for k, a in found.items()}
    pq.write_table(pa.table(columns), path / "a.parquet", row_group_size=700)
    return path / "a.parquet"


def parquet_columns(path: Path, found: dict[str, np.ndarray]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {}
    for name, array in found.items():
        if array.ndim == 2:
            columns |= {f"{name}_{i}": array[:, i] for i in range(array.shape[1])}
        else:
            columns[name] = array
    pq.write_table(pa.table(columns), path / "a.parquet")
    return path / "a.parquet"


def hdf5(path: Path, found: dict[str, np.ndarray]) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path / "a.h5", "w") as file:
        for name, array in found.items():
            if array.dtype.kind == "U":
                file.create_dataset(name, data=array.tolist(), dtype=h5py.string_dtype())
            else:
                file[name] = array
    return path / "a.h5"


def safetensors(path: Path, found: dict[str, np.ndarray]) -> Path:
    from safetensors.numpy import save_file

    save_file({k: a for k, a in found.items() if a.dtype.kind != "U"}, path / "a.safetensors")
    return path / "a.safetensors"


WRITERS = [
    npz, packed_npz, folder, columnwise, columnwise_packed, big_endian, parquet_lists,
    parquet_columns, hdf5, safetensors,
]  # fmt: skip


def opened(path: Path, **options: object) -> FeatureSet:
    found = open_dataset(DataSpec("fit", "features", str(path), {"role": "fit", **options}))
    assert isinstance(found, FeatureSet)
    return found


@pytest.mark.parametrize("write", WRITERS, ids=lambda w: w.__name__)
def test_every_format_gives_the_same_rows(
    tmp_path: Path, write: Callable[[Path, dict[str, np.ndarray]], Path]
) -> None:
    wanted = arrays()
    found = opened(write(tmp_path, wanted))
    assert len(found) == N
    assert found.has_logits
    assert list(found.layers) == ["early"]
    np.testing.assert_array_equal(found.labels, wanted["labels"])
    ids = (
        wanted["ids"].tolist()
        if write is not safetensors
        else [f"a.safetensors/{i}" for i in range(N)]
    )
    assert list(found.ids) == ids
    for start, stop in ((0, 1024), (1024, 2048), (2048, N), (7, 8), (600, 1500), (0, N)):
        for name in ("features", "logits", "early"):
            rows = found.rows(name, start, stop)
            assert rows.dtype == np.float32
            np.testing.assert_array_equal(rows, wanted[name][start:stop], err_msg=name)


@pytest.mark.parametrize("write", WRITERS, ids=lambda w: w.__name__)
def test_the_content_says_what_a_file_is(
    tmp_path: Path, write: Callable[[Path, dict[str, np.ndarray]], Path]
) -> None:
    path = write(tmp_path, arrays())
    if path.is_file():
        path = path.rename(tmp_path / "b.csv")
    np.testing.assert_array_equal(opened(path).rows("features", 0, 9), arrays()["features"][:9])


def test_a_single_array_is_the_features(tmp_path: Path) -> None:
    np.save(tmp_path / "anything.npy", arrays()["features"])
    found = opened(tmp_path / "anything.npy")
    assert found.labels is None
    assert found.ids[3] == "anything.npy/3"
    np.testing.assert_array_equal(found.rows("features", 0, N), arrays()["features"])


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "uint16", "int64", "bool"]
)
def test_numbers_become_float32(tmp_path: Path, dtype: str) -> None:
    values = (np.random.default_rng(1).normal(size=(9, 3)) * 20).astype(dtype)
    np.savez(tmp_path / "a.npz", features=values)
    np.testing.assert_array_equal(
        opened(tmp_path / "a.npz").rows("features", 0, 9), values.astype(np.float32)
    )


def test_bfloat16_is_read_exactly_wherever_it_is(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    values = torch.randn(40, 6).bfloat16()
    save_file({"features": values}, tmp_path / "a.safetensors")
    bits = values.view(torch.int16).numpy().view("V2")  # as np.save writes JAX's arrays
    np.savez(tmp_path / "a.npz", features=bits)
    for name in ("a.safetensors", "a.npz"):
        found = opened(tmp_path / name).rows("features", 3, 40)
        np.testing.assert_array_equal(found, values[3:].float().numpy())


@pytest.mark.parametrize(
    "stems", ["feat_", "features.", "x", ""], ids=["feat_", "features.", "x", "0"]
)
def test_numbered_columns_of_a_table_are_features(tmp_path: Path, stems: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = arrays()["features"]
    columns = {f"{stems}{i}": wanted[:, i] for i in range(D)} | {"labels": arrays()["labels"]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    np.testing.assert_array_equal(opened(tmp_path / "a.parquet").rows("features", 0, N), wanted)


def test_missing_labels_of_a_table_are_unknown(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = {"features": [[1.0, 2.0]] * 3, "labels": pa.array([0, None, 1], pa.int64())}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    assert opened(tmp_path / "a.parquet").labels.tolist() == [0, -1, 1]


def test_what_pandas_makes_of_missing_labels_and_bytes(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"f0": [1.0, 2, 3], "f1": 0.0, "labels": [0, None, 1]})
    assert frame["labels"].dtype == float
    frame["ids"] = [b"a", "é".encode(), b"c"]
    frame.to_parquet(tmp_path / "a.parquet")
    found = opened(tmp_path / "a.parquet")
    assert found.labels.tolist() == [0, -1, 1]
    assert found.ids == ("a", "é", "c")


def test_what_says_something_of_the_file_is_no_layer(tmp_path: Path) -> None:
    said = {"epoch": 3, "lr": 0.1, "version": "v1", "classes": ["a", "b"], "tags": [["x", "y"]] * 3}
    np.savez(tmp_path / "a.npz", features=np.eye(3), early=np.ones((3, 2)), **said)
    assert list(opened(tmp_path / "a.npz").layers) == ["early"]


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = np.eye(2)
        file["text"] = np.array([b"a\xff", b"b"])
    assert opened(tmp_path / "a.h5").text(0) == "a\ufffd"


def test_names_are_numbered_as_class_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", features=np.eye(3), labels=["dog", "cat", ""])
    found = opened(tmp_path / "a.npz", class_names=("cat", "dog"))
    assert found.labels.tolist() == [1, 0, -1]


def test_a_limit_takes_rows(tmp_path: Path) -> None:
    path = npz(tmp_path, arrays())
    whole, some = opened(path), opened(path, limit=40)
    at = [whole.ids.index(i) for i in some.ids]
    assert at == sorted(at)
    assert len(at) == 40
    np.testing.assert_array_equal(some.rows("features", 0, 40), arrays()["features"][at])
    np.testing.assert_array_equal(some.rows("features", 11, 13), arrays()["features"][at[11:13]])
    np.testing.assert_array_equal(some.labels, arrays()["labels"][at])
    assert some.identity != whole.identity


def test_the_identity_follows_the_file(tmp_path: Path) -> None:
    first = opened(npz(tmp_path, arrays()))
    assert opened(tmp_path / "a.npz").identity == first.identity
    assert first.first_changed([4]) is None
    npz(tmp_path, arrays(seed=1))
    assert first.first_changed([4]) == 4
    assert opened(tmp_path / "a.npz").identity != first.identity


def test_pictures_and_texts(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    Image.new("RGB", (4, 4), "red").save(tmp_path / "p" / "one.png")
    np.savez(
        tmp_path / "a.npz", features=np.eye(2), ids=["one", "two"], text=["first", "second"],
        where=["p/one.png", ""],
    )  # fmt: skip
    plain = opened(tmp_path / "a.npz")
    assert not plain.has_images
    assert [plain.text(0), plain.text(1)] == ["first", "second"]
    with pytest.raises(BrokenImageError, match="no picture"):
        plain.load(0)
    for given in (str(tmp_path / "p"), "where"):
        found = opened(tmp_path / "a.npz", thumbnails=given)
        assert found.has_images
        assert found.load(0).size == (4, 4)
        with pytest.raises(BrokenImageError, match="no picture"):
            found.load(1)
    with pytest.raises(DataError, match=r"neither a folder nor an array.*text, where"):
        opened(tmp_path / "a.npz", thumbnails="nowhere")
    np.savez(tmp_path / "a.npz", features=np.eye(2), where=["p/one.png"])
    with pytest.raises(DataError, match="has 1 paths, but features has 2 rows"):
        opened(tmp_path / "a.npz", thumbnails="where")


class Tells:
    """Writes a file when it is unpickled."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return Path.touch, (self.where,)  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["features", "labels", "ids", "text", "other"])
def test_objects_are_refused_without_unpickling(tmp_path: Path, name: str) -> None:
    told = tmp_path / "told"
    evil = np.array([Tells(told)] * 2, object)
    fine = {"features": np.eye(2)} | {name: evil}
    for write in (npz, packed_npz, folder):
        with pytest.raises(DataError, match="Python objects, which only unpickling reads"):
            opened(write(tmp_path, fine))
    assert not told.exists()
    pickle.loads(pickle.dumps(evil))
    assert told.exists()  # the test sees what it claims to see


def test_pickles_are_refused_without_unpickling(tmp_path: Path) -> None:
    import torch

    told = tmp_path / "told"
    (tmp_path / "a.npz").write_bytes(pickle.dumps(Tells(told)))
    with pytest.raises(DataError, match="a pickle, which can run anything"):
        opened(tmp_path / "a.npz")
    torch.save({"features": Tells(told)}, tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"written by torch\.save.*np\.savez"):
        opened(tmp_path / "b.npz")
    assert not told.exists()


def changed(**other: object) -> dict[str, np.ndarray]:
    found = {"features": np.eye(3), "labels": np.array([0, 1, 0]), **other}
    return {name: np.asarray(a) for name, a in found.items() if a is not None}


WRONG = {
    "missing": (changed(features=None, hidden=np.eye(3)), "no array .features.. It holds"),
    "one axis": (changed(features=np.ones(3)), r"shape \(3,\).*reshape\(n, d\)"),
    "three axes": (changed(features=np.ones((3, 2, 4))), r"shape \(3, 2, 4\).*tokens"),
    "four axes": (changed(features=np.ones((3, 2, 4, 4))), r"shape \(3, 2, 4, 4\).*h.mean"),
    "no rows": (changed(features=np.ones((0, 2)), labels=None), "empty"),
    "no values": (changed(features=np.ones((3, 0))), "without a single value"),
    "complex": (changed(features=np.eye(3) * 1j), "type complex128"),
    "text": (changed(features=np.array([["a"]] * 3)), "expected numbers"),
    "dates": (changed(features=np.full((3, 2), "2020-01-01", "M8[D]")), "type datetime64"),
    "logits rows": (changed(logits=np.ones((2, 2))), r"'logits' has 2 rows, but features has 3"),
    "layer rows": (changed(early=np.ones((4, 2))), r"'early' has 4 rows"),
    "layer axes": (changed(early=np.ones((3, 2, 2))), r"'early' has shape \(3, 2, 2\)"),
    "layer of one axis": (changed(loss=np.ones(3)), r"'loss' has shape \(3,\)"),
    "logits of one value": (changed(logits=np.array(3)), r"'logits' has shape \(\)"),
    "texts rows": (changed(text=np.array(["a", "b"])), r"text has shape \(2,\).*\(3,\)"),
    "texts axes": (changed(text=np.array([["a", "b"]] * 3)), r"text has shape \(3, 2\)"),
    "head inside": (changed(weight=np.ones((2, 3))), r"'weight' has 2 rows.*\[classifier\]"),
    "labels rows": (changed(labels=np.array([0, 1])), "labels has 2 rows but features has 3"),
    "labels one-hot": (changed(labels=np.eye(3)), r"argmax\(1\)"),
    "labels fractions": (changed(labels=np.array([0.5, 1, 0])), "0.5 at place 0"),
    "labels below": (changed(labels=np.array([-2, 1, 0])), "-2 at place 0"),
    "ids rows": (changed(ids=np.array(["a", "b"])), r"ids has shape \(2,\)"),
    "ids fractions": (changed(ids=np.array([0.5, 1, 2])), "ids has shape"),
    "ids twice": (changed(ids=np.array(["a", "b", "a"])), "'a' is that of row 0 and of row 2"),
    "reserved": (changed(penultimate=np.eye(3)), "'penultimate'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("write", [npz, folder], ids=["npz", "folder"])
def test_wrong_arrays_are_said(
    tmp_path: Path, case: str, write: Callable[[Path, dict[str, np.ndarray]], Path]
) -> None:
    found, message = WRONG[case]
    with pytest.raises(DataError, match=message):
        opened(write(tmp_path, found))


@pytest.mark.parametrize(
    ("value", "dtype", "shown"),
    [
        (np.nan, "f4", "nan"),
        (np.inf, "f2", "inf"),
        (-np.inf, "f8", "-inf"),
        (1e39, "f8", r"1e\+39, too"),
    ],
)
def test_values_that_are_not_finite_have_a_place(
    tmp_path: Path, value: float, dtype: str, shown: str
) -> None:
    values = np.ones((50, 4), dtype)
    values[33, 2] = value
    np.savez(tmp_path / "a.npz", features=values)
    found = opened(tmp_path / "a.npz")
    assert np.isfinite(found.rows("features", 0, 33)).all()
    with pytest.raises(DataError, match=f"holds {shown}.*row 33, column 2"):
        found.rows("features", 20, 50)


def test_lists_of_a_table_are_of_one_length(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for rows, message in (([[1.0, 2.0], [1.0]], "row 1 of 'features' has 1 values"),
                          ([[1.0], None], "row 1 of 'features' has no list"),
                          ([None, [1.0]], "row 0 of 'features' has no list")):  # fmt: skip
        pq.write_table(pa.table({"features": rows}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match=message):
            opened(tmp_path / "a.parquet").rows("features", 0, 2)
    pq.write_table(pa.table({"mine": [1.0, 2.0]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no array 'features'.*mine.*features_0, features_1"):
        opened(tmp_path / "a.parquet")


@pytest.mark.parametrize("write", WRITERS, ids=lambda w: w.__name__)
def test_a_file_cut_short_is_said(
    tmp_path: Path, write: Callable[[Path, dict[str, np.ndarray]], Path]
) -> None:
    path = write(tmp_path, arrays())
    file = path / "features.npy" if path.is_dir() else path
    whole = file.read_bytes()
    for part in (0.0, 0.3, 0.7, 0.99):
        file.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(
            DataError, match=r"cut short|damaged|empty|no array that NumPy|no array"
        ):
            opened(path).rows("features", 0, N)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"path,label\na.png,1\n", "a text"),
        (b"\x1f\x8b\x08" + bytes(30), "compressed"),
        (b"MATLAB 5.0 MAT-file" + bytes(30), "a text|MATLAB"),
        (b"\x00\x01\x02" * 20, "unknown format"),
        (b"", "empty"),
    ],
)  # fmt: skip
def test_other_files_are_said(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=what):
        open_arrays(tmp_path / "a.npz")


def test_archives_of_other_things_are_said(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("0/a.png", b"x")
    with pytest.raises(DataError, match=r"holds '0/a.png', which is no array"):
        opened(tmp_path / "a.npz")
    content = io.BytesIO()
    np.save(content, np.eye(2))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("features.npy", content.getvalue()[:90])
    with pytest.raises(DataError, match="cut short"):
        opened(tmp_path / "b.npz")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"no \.npy file"):
        opened(tmp_path / "none")

"""Parquet tables of paths and of images, as pandas and Hugging Face's `datasets` write them."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ood_core.data import BrokenImageError, open_dataset
from ood_core.data.image_set import ImageSet
from ood_core.errors import DataError
from ood_core.experiments import DataSpec

Make = Callable[..., Path]
NAMES = ("airplane", "cat", "dog")


def encoded(grey: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), grey, np.uint8)).save(out, "PNG")
    return out.getvalue()


def table(
    file: Path,
    columns: Mapping[str, Any],
    features: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    """A Parquet file, with Hugging Face's metadata where features are given."""
    found = pa.table(dict(columns))
    if features:
        info = json.dumps({"info": {"features": features}}).encode()
        found = found.replace_schema_metadata({b"huggingface": info})
    pq.write_table(found, file, **options)
    return file


def hugging_face(file: Path, **changed: Any) -> Path:
    """Six images of two row groups, class numbers 2, 1, 0, 2, 1, 0."""
    cells = [{"bytes": encoded(10 * i), "path": f"{i}.png"} for i in range(6)]
    columns = {"image": cells, "label": [2, 1, 0, 2, 1, 0]} | changed.pop("columns", {})
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": NAMES}}
    return table(file, columns, features | changed, row_group_size=4)


def opened(file: Path, **options: object) -> ImageSet:
    return open_dataset(DataSpec("mine", "manifest", str(file), options))


def greys(images: ImageSet) -> list[int]:
    return [int(np.asarray(images.load(i))[0, 0, 0]) for i in range(len(images))]


def test_images_of_hugging_face_with_labels_and_class_names(tmp_path: Path) -> None:
    images = opened(hugging_face(tmp_path / "t.parquet"), num_classes=3, role="fit")
    assert images.ids == tuple(f"{i}.png" for i in range(6))
    assert images.class_names == NAMES
    np.testing.assert_array_equal(images.labels, [2, 1, 0, 2, 1, 0])
    assert greys(images) == [0, 10, 20, 30, 40, 50]
    assert [int(np.asarray(images.load(i))[0, 0, 0]) for i in (5, 0, 4, 1)] == [50, 0, 40, 10]
    assert images.path(0) is None
    assert images.thumbnail(3).size == (96, 77)
    assert greys(pickle.loads(pickle.dumps(images))) == greys(images)


def test_the_networks_order_of_classes_counts(tmp_path: Path) -> None:
    names = ("dog", "frog", "cat", "airplane")
    images = opened(hugging_face(tmp_path / "t.parquet"), class_names=names, num_classes=4)
    assert images.class_names == names
    np.testing.assert_array_equal(images.labels, [0, 2, 3, 0, 2, 3])


def test_a_label_map_from_the_tables_names(tmp_path: Path) -> None:
    options = {"class_names": ("hund", "cat", "plane"), "label_map": {"dog": "hund", "airplane": 2}}
    images = opened(hugging_face(tmp_path / "t.parquet"), **options)
    np.testing.assert_array_equal(images.labels, [0, 1, 2, 0, 1, 2])


def test_other_names_for_the_same_numbers(tmp_path: Path) -> None:
    images = opened(hugging_face(tmp_path / "t.parquet"), class_names=("plane", "cat", "hund"))
    np.testing.assert_array_equal(images.labels, [2, 1, 0, 2, 1, 0])


def test_other_names_at_other_numbers_are_refused(tmp_path: Path) -> None:
    message = "calls class 1 'cat', which is class 0 of the classifier.*label_map"
    with pytest.raises(DataError, match=message):
        opened(hugging_face(tmp_path / "t.parquet"), class_names=("cat", "plane", "hund"))


def test_a_label_without_a_name(tmp_path: Path) -> None:
    file = hugging_face(tmp_path / "t.parquet", columns={"label": [0, 1, 2, 3, -1, 0]})
    with pytest.raises(DataError, match="has the label 3, but names only 3 classes"):
        opened(file)
    assert opened(file, role="ood").labels is None


def test_columns_of_other_names(tmp_path: Path) -> None:
    cells = [{"bytes": encoded(i), "path": None} for i in range(2)]
    features = {
        "img": {"_type": "Image"},
        "fine_label": {"_type": "ClassLabel", "names": NAMES},
    }
    columns = {"img": cells, "fine_label": [1, 2], "note": ["x", "y"]}
    images = opened(table(tmp_path / "train-00000.parquet", columns, features))
    assert images.ids == ("train-00000/000000", "train-00000/000001")
    np.testing.assert_array_equal(images.labels, [1, 2])
    columns["coarse_label"] = [0, 0]
    features["coarse_label"] = {"_type": "ClassLabel", "names": NAMES}
    file = table(tmp_path / "t.parquet", columns, features)
    with pytest.raises(DataError, match="several columns of labels: fine_label, coarse_label"):
        opened(file)
    assert opened(file, role="ood").labels is None
    found = opened(file, label_column="coarse_label")
    np.testing.assert_array_equal(found.labels, [0, 0])


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_column_of_bytes(tmp_path: Path, kind: pa.DataType) -> None:
    cells = pa.array([encoded(7), encoded(9), None], kind)
    file = table(tmp_path / "t.parquet", {"picture": cells, "label": ["cat", "dog", None]})
    images = opened(file, class_names=NAMES)
    assert images.ids == ("t/000000", "t/000001", "t/000002")
    np.testing.assert_array_equal(images.labels, [1, 2, -1])
    assert np.asarray(images.load(1))[0, 0, 0] == 9
    with pytest.raises(BrokenImageError, match=r"t\.parquet/t/000002: the table holds no image"):
        images.load(2)


def test_paths_in_structs_without_bytes(make_images: Make) -> None:
    root = make_images("a.png", "b.png")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": None, "path": p} for p in ("a.png", "b.png")], kind)
    images = opened(table(root / "t.parquet", {"image": cells, "label": [1, 0]}))
    assert images.ids == ("a.png", "b.png")
    assert images.path(1) == root / "b.png"


def test_limit_keeps_images_and_labels_together(tmp_path: Path) -> None:
    file = hugging_face(tmp_path / "t.parquet")
    images = opened(file, limit=3)
    assert greys(images) == [10 * int(i.removesuffix(".png")) for i in images.ids]
    assert len(images) == 3
    np.testing.assert_array_equal(
        images.labels, [[2, 1, 0][int(i.removesuffix(".png")) % 3] for i in images.ids]
    )
    assert len(opened(file, per_class=1)) == 3


def test_identity_follows_the_images_labels_and_choice(tmp_path: Path) -> None:
    file = hugging_face(tmp_path / "t.parquet")
    first = opened(file).identity
    assert opened(file).identity == first
    others = {opened(file, limit=3).identity, opened(file, labels="none").identity}
    cells = [{"bytes": encoded(10 * i + 1), "path": f"{i}.png"} for i in range(6)]
    hugging_face(file, columns={"image": cells})
    others.add(opened(file).identity)
    assert len(others | {first}) == 4


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [
        (pa.array([1.0, 0.0, None]), [1, 0, -1]),
        (pa.array([1, 0, None], pa.int8()), [1, 0, -1]),
        (pa.array(["1", "0.00", ""]), [1, 0, -1]),
        (pa.array(["cat", "airplane", None]).dictionary_encode(), [1, 0, -1]),
        (pa.array([float("nan"), 2.0, 1.0]), [-1, 2, 1]),
    ],
)
def test_types_of_labels(make_images: Make, labels: pa.Array, numbers: list[int]) -> None:
    root = make_images("a.png", "b.png", "c.png")
    paths = pa.array(["a.png", "b.png", "c.png"]).dictionary_encode()
    file = table(root / "t.parquet", {"path": paths, "label": labels})
    np.testing.assert_array_equal(opened(file, class_names=NAMES).labels, numbers)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"a": [b"x"], "b": [b"y"]}, {}, r"several columns of images: a, b\. Set path_column"),
        ({"image": [[1, 2]], "label": [0]}, {}, "has no column 'path'. Available: image, label"),
        ({"path": [[1, 2]]}, {}, r"column 'path' holds list<.*neither paths nor encoded images"),
        ({"path": [{"x": 1}]}, {}, r"column 'path' holds struct<.*neither paths nor encoded"),
        ({"path": ["a.png"]}, {"label_column": "y"}, "has no column 'y'"),
        ({"path": ["a.png"]}, {"label_column": "path"}, "is both path_column and label_column"),
        ({"path": ["a.png", None]}, {}, r"row 2 of '.*' has an empty 'path'"),
        ({"path": ["a.png"], "label": [[1, 0]]}, {}, r"row 1 of '.*': label \[1, 0\]"),
        ({"path": ["a.png"], "label": [0.5]}, {}, r"row 1 of '.*': label '0\.5' is no whole"),
        ({"path": pa.array([], pa.string())}, {}, "the manifest '.*' names no images"),
        ({"path": ["a\0.png"]}, {}, "cannot be the name of a file"),
    ],
)
def test_tables_that_are_refused(
    make_images: Make, columns: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    file = table(make_images("a.png") / "t.parquet", columns)
    with pytest.raises(DataError, match=message) as caught:
        opened(file, **options)
    assert str(caught.value).count("data set 'mine': ") == 1


def test_two_columns_of_one_name(make_images: Make) -> None:
    found = pa.Table.from_arrays([pa.array(["a.png"])] * 2, names=["path", "path"])
    file = make_images("a.png") / "t.parquet"
    pq.write_table(found, file)
    with pytest.raises(DataError, match="has 2 columns called 'path'"):
        opened(file)


def test_a_table_that_is_damaged_after_it_was_opened(tmp_path: Path) -> None:
    file = hugging_face(tmp_path / "t.parquet")
    images = opened(file)
    data = bytearray(file.read_bytes())
    data[4:400] = bytes(396)
    file.write_bytes(data)
    with pytest.raises(BrokenImageError, match=r"t\.parquet/0\.png: "):
        images.load(0)


def test_a_parquet_table_by_any_other_name(make_images: Make) -> None:
    root = make_images("a.png")
    file = table(root / "t.parquet", {"path": ["a.png"], "label": [0]})
    assert opened(file.rename(root / "table.data")).ids == ("a.png",)


def test_class_names_stored_as_binary_are_text(make_images: Make) -> None:
    root = make_images("a.png", "b.png")
    file = table(
        root / "t.parquet", {"path": ["a.png", "b.png"], "label": [b"dog", b"caf\xc3\xa9"]}
    )
    assert opened(file).class_names == ("café", "dog")


def test_numbers_beside_a_table_whose_class_names_are_other_numbers(tmp_path: Path) -> None:
    names = ["0", "1", "10", "2"]
    cells = [{"bytes": encoded(i), "path": None} for i in range(4)]
    label = {"_type": "ClassLabel", "names": names}
    fit = table(tmp_path / "fit.parquet", {"image": cells, "label": [0, 1, 2, 3]},
                {"image": {"_type": "Image"}, "label": label})  # fmt: skip
    Image.new("RGB", (4, 5)).save(tmp_path / "a.png")
    Image.new("RGB", (4, 5)).save(tmp_path / "b.png")
    (tmp_path / "test.txt").write_text("a.png 10\nb.png 2\n")
    numbered = DataSpec("fit", "manifest", str(fit), {"role": "fit"})
    spec = DataSpec("test", "image_list", str(tmp_path / "test.txt"), {"numbered_by": numbered})
    with pytest.raises(DataError, match="label 2 may be class number 2 \\('10'\\)"):
        open_dataset(spec)

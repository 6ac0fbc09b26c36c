"""One numbering of the classes for the whole experiment, whatever kinds its sets are of."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ood_core.data import check_classes, classes_numbered, open_dataset
from ood_core.data.image_set import ImageSet
from ood_core.data.torchvision_names import marker_path
from ood_core.data.torchvision_set import TorchvisionSet
from ood_core.errors import DataError, OODLensError
from ood_core.experiments import Experiment, parse_experiment

KINDS = ("folder", "zip", "image_list", "manifest")
TWELVE = tuple(str(c) for c in range(12))
MANY = ("airplane", "bird", "car")


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, str, Any], dict[str, object]]:
    """Writes a set of one image of each label, and returns its table in an experiment file."""

    def write(name: str, kind: str, labels: Any) -> dict[str, object]:
        if kind == "torchvision":
            return {kind: labels}
        root = tmp_path / name
        rows = []
        for number, label in enumerate(labels):
            image = root / (
                f"{label}/{number}.png" if kind in ("folder", "zip") else f"{number}.png"
            )
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 5, 3), number, np.uint8)).save(image)
            rows.append((image.name, label))
        if kind == "folder":
            return {kind: str(root)}
        file = tmp_path / f"{name}.{KINDS.index(kind)}"
        if kind == "zip":
            with zipfile.ZipFile(file, "w") as archive:
                for path in sorted(root.rglob("*.png")):
                    archive.write(path, str(path.relative_to(root)))
        else:
            gap, head = (" ", "") if kind == "image_list" else (",", "path,label\n")
            file.write_text(head + "".join(f"{path}{gap}{label}\n" for path, label in rows))
        return {kind: str(file), **({"root": str(root)} if kind != "zip" else {})}

    return write


Written = Callable[[str, str, Any], dict[str, object]]


def experiment(fit: object, test: object, **classifier: object) -> Experiment:
    known = {"architecture": "digits_cnn", "random_weights": 0, **classifier}
    return parse_experiment({"name": "mine", "classifier": known, "id": {"fit": fit, "test": test}})


def opened(exp: Experiment, name: str = "test") -> ImageSet:
    return open_dataset(exp.sets[name])


def by_label(images: ImageSet, kind: str, labels: Any) -> dict[str, int]:
    """Class number of each label as it was written."""
    assert images.labels is not None
    if kind in ("folder", "zip"):
        names = [i.split("/")[0] for i in images.ids]
    else:
        names = [str(labels[int(i.split(".")[0])]) for i in images.ids]
    return dict(zip(names, images.labels.tolist(), strict=True))


@pytest.mark.parametrize("classes", [12, None])
@pytest.mark.parametrize("absent", [(), (5,), (0, 11)])
@pytest.mark.parametrize("test_kind", KINDS)
@pytest.mark.parametrize("fit_kind", KINDS)
def test_a_class_called_10_is_class_10_in_every_set(
    written: Written, fit_kind: str, test_kind: str, absent: tuple[int, ...], classes: int | None
) -> None:
    there = [c for c in TWELVE if int(c) not in absent]
    known = {"num_classes": classes} if classes else {}
    exp = experiment(written("fit", fit_kind, TWELVE), written("test", test_kind, there), **known)
    for name, kind, labels in (("fit", fit_kind, TWELVE), ("test", test_kind, there)):
        images = opened(exp, name)
        assert by_label(images, kind, labels) == {c: int(c) for c in labels}
        assert images.class_names in (None, TWELVE)
    assert classes_numbered(exp) == "labels are class numbers"


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_class_that_the_fit_set_lacks_shifts_nothing(written: Written, kind: str) -> None:
    there = [c for c in TWELVE if c != "3"]
    exp = experiment(written("fit", kind, there), written("test", kind, TWELVE), num_classes=12)
    for name in ("fit", "test"):
        assert by_label(opened(exp, name), kind, there) == {
            c: int(c) for c in (there if name == "fit" else TWELVE)
        }


@pytest.mark.parametrize("test_kind", KINDS)
@pytest.mark.parametrize("fit_kind", KINDS)
@pytest.mark.parametrize("known", [{}, {"num_classes": 3}])
def test_names_are_numbered_as_the_fit_sets_are(
    written: Written, fit_kind: str, test_kind: str, known: dict[str, object]
) -> None:
    there = ("car", "airplane")
    exp = experiment(written("fit", fit_kind, MANY), written("test", test_kind, there), **known)
    assert by_label(opened(exp, "fit"), fit_kind, MANY) == {"airplane": 0, "bird": 1, "car": 2}
    assert by_label(opened(exp), test_kind, there) == {"airplane": 0, "car": 2}
    assert opened(exp).class_names == MANY
    assert classes_numbered(exp) == "numbered in text order, as ImageFolder does"


def test_names_that_are_not_0_to_the_last_are_numbered_in_text_order(written: Written) -> None:
    for names in ([str(c) for c in range(1, 13)], [f"{c:02d}" for c in range(12)]):
        fit = written(f"fit{names[0]}", "folder", names)
        exp = experiment(fit, written(f"test{names[0]}", "zip", names[::3]), num_classes=12)
        found = by_label(opened(exp), "zip", names[::3])
        assert found == {name: sorted(names).index(name) for name in names[::3]}
        assert classes_numbered(exp) == "numbered in text order, as ImageFolder does"


@pytest.mark.parametrize("known", [{}, {"num_classes": 3}])
@pytest.mark.parametrize(
    ("fit", "test"),
    [
        (("image_list", "012"), ("folder", MANY)),
        (("manifest", "012"), ("image_list", MANY)),
        (("folder", MANY), ("image_list", "012")),
        (("zip", MANY), ("folder", "012")),
        (("folder", "012"), ("zip", MANY)),
        (("folder", MANY), ("folder", ("airplane", "boat"))),
        (("image_list", MANY), ("zip", ("airplane", "bird", "car", "dog"))),
        (("folder", "012"), ("folder", ("0", "3"))),
        (("image_list", "012"), ("folder", ("0", "3"))),
        (("image_list", "012"), ("zip", ("00", "01"))),
        (("manifest", ("cat", "1", "2")), ("folder", ("cat",))),
    ],
    ids=lambda s: f"{s[0]}-{''.join(s[1])[:5]}" if isinstance(s, tuple) else "",
)
def test_what_would_be_guessed_is_refused_and_class_names_settle_it(
    written: Written,
    fit: tuple[str, Any],
    test: tuple[str, Any],
    known: dict[str, object],
) -> None:
    tables = written("fit", *fit), written("test", *test)
    exp = experiment(*tables, **known)
    with pytest.raises(DataError, match=r"data set '(fit|test)'.*class_names under \[classifier\]"):
        _ = opened(exp, "fit"), opened(exp, "test")
    names = list(dict.fromkeys(x for s in (fit, test) for x in s[1] if not x.isdigit()))
    names += [c for c in ("00", "01") if c in test[1]]
    names += [f"class {c}" for c in range(len(names), 4)]
    settled = experiment(*tables, class_names=names)
    expected = {x: names.index(x) if x in names else int(x) for x in test[1]}
    assert by_label(opened(settled), test[0], test[1]) == expected
    assert classes_numbered(settled) == "numbered by class_names"


def test_class_names_win_over_numbers_in_names(written: Written) -> None:
    """Who trained with ImageFolder says so by the names in its order."""
    names = sorted(TWELVE)
    exp = experiment(
        written("fit", "folder", TWELVE), written("test", "zip", TWELVE[4:]), class_names=names
    )
    for name in ("fit", "test"):
        labels = TWELVE if name == "fit" else TWELVE[4:]
        kind = "folder" if name == "fit" else "zip"
        assert by_label(opened(exp, name), kind, labels) == {c: names.index(c) for c in labels}


def test_a_label_map_may_say_the_numbers(written: Written) -> None:
    table = written("test", "folder", MANY) | {"label_map": {"airplane": 0, "bird": 2, "car": 1}}
    exp = experiment(written("fit", "image_list", "012"), table)
    assert by_label(opened(exp), "folder", MANY) == {"airplane": 0, "bird": 2, "car": 1}


def test_an_empty_class_folder_counts(written: Written, tmp_path: Path) -> None:
    fit = written("fit", "folder", ("ant", "cat"))
    (tmp_path / "fit" / "bee").mkdir()
    exp = experiment(fit, written("test", "zip", ("ant", "bee", "cat")), num_classes=3)
    assert by_label(opened(exp, "fit"), "folder", ()) == {"ant": 0, "cat": 2}
    assert by_label(opened(exp), "zip", ()) == {"ant": 0, "bee": 1, "cat": 2}
    two = experiment(fit, written("two", "zip", ("cat",)), num_classes=2)
    assert by_label(opened(two), "zip", ()) == {"cat": 1}


def test_a_fit_set_without_labels_leaves_the_test_set_its_own(written: Written) -> None:
    fit = written("fit", "folder", MANY) | {"labels": "none"}
    exp = experiment(fit, written("test", "zip", MANY))
    assert by_label(opened(exp), "zip", MANY) == {"airplane": 0, "bird": 1, "car": 2}
    assert classes_numbered(exp) == "numbered in text order, as ImageFolder does"


def test_a_limit_on_the_fit_set_changes_no_number(written: Written) -> None:
    fit = written("fit", "image_list", MANY) | {"limit": 1}
    exp = experiment(fit, written("test", "folder", ("bird", "car")))
    assert by_label(opened(exp), "folder", MANY) == {"bird": 1, "car": 2}


def test_a_fit_set_that_is_not_there_is_named(written: Written, tmp_path: Path) -> None:
    fit, numbers = written("fit", "zip", MANY), written("numbers", "image_list", "012")
    named, listed = experiment(fit, written("test", "zip", MANY)), experiment(fit, numbers)
    (tmp_path / "fit.1").unlink()
    with pytest.raises(
        DataError, match=r"'test': its classes are numbered as the fit set's.*'fit'"
    ):
        opened(named)
    assert opened(listed).labels.tolist() == [0, 1, 2]


def test_the_numbering_follows_the_fit_set_as_it_changes(written: Written, tmp_path: Path) -> None:
    exp = experiment(written("fit", "folder", MANY), written("test", "zip", ("car",)))
    before = opened(exp)
    (tmp_path / "fit" / "ant").mkdir()
    after = opened(exp)
    assert (before.labels.tolist(), after.labels.tolist()) == ([2], [3])
    assert before.identity != after.identity


def test_sets_replaced_in_python_follow_the_new_fit_set(written: Written) -> None:
    import dataclasses

    exp = experiment(written("fit", "folder", MANY), written("test", "zip", ("car",)))
    other = experiment(written("other", "folder", (*MANY, "ant")), written("t", "zip", MANY))
    sets = {**exp.sets, "fit": other.sets["fit"]}
    changed = dataclasses.replace(exp, sets=sets)
    assert opened(changed).labels.tolist() == [3]


def test_numbers_are_held_against_the_network(written: Written) -> None:
    exp = experiment(written("fit", "folder", MANY), written("test", "zip", MANY))
    for name in ("fit", "test"):
        check_classes(opened(exp, name), 3)
        with pytest.raises(
            DataError, match=r"has 3 classes \(airplane, bird, car\) but the net.*4"
        ):
            check_classes(opened(exp, name), 4)
    counted = experiment(written("a", "folder", TWELVE), written("b", "image_list", TWELVE))
    check_classes(opened(counted, "fit"), 13)
    with pytest.raises(DataError, match=r"label 11 of 11\.png is out of range.*0 to 9, or -1"):
        check_classes(opened(counted), 10)


def test_extraction_refuses_what_does_not_fit_the_network(written: Written) -> None:
    from ood_core.activations import extract

    exp = parse_experiment(
        {
            "name": "mine",
            "classifier": {"architecture": "digits_cnn", "weights": "shipped"},
            "preprocessing": {"resize": 16, "mean": [0.3], "std": [0.3], "mode": "L"},
            "id": {
                "fit": written("fit", "folder", MANY),
                "test": written("test", "folder", ("car", "bird")),
            },
        }
    )
    with pytest.raises(OODLensError, match=r"has 3 classes .* but the network has 8"):
        extract(exp)


# Torchvision's own numbers and names


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR10 and STL10 with three classes each, one of them common, as torchvision has them."""
    classes = {"CIFAR10": list(MANY), "STL10": ["airplane", "boat", "cat"], "SVHN": None}

    def dataset(spec: Any, _root: Path, **_: object) -> Any:
        found = SimpleNamespace(targets=[2, 0, 1], classes=classes[spec.source])
        return type("Three", (SimpleNamespace,), {"__len__": lambda _: 3})(**vars(found))

    monkeypatch.setattr("ood_core.data.torchvision_set.torchvision_dataset", dataset)
    monkeypatch.setenv("OOD_LENS_DATA", str(tmp_path))
    for source in classes:
        exp = parse_experiment(
            {
                "name": "x",
                "classifier": {"architecture": "digits_cnn", "random_weights": 0},
                "id": {"fit": {"torchvision": source}, "test": {"torchvision": source}},
            }
        )
        marker = marker_path(exp.sets["fit"], tmp_path)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text("x")


@pytest.mark.usefixtures("named")
def test_names_follow_torchvisions_numbers(written: Written) -> None:
    exp = experiment({"torchvision": "CIFAR10"}, written("test", "zip", ("car", "bird")))
    assert by_label(opened(exp), "zip", ()) == {"bird": 1, "car": 2}
    counted = experiment({"torchvision": "CIFAR10"}, written("t", "folder", "02"))
    assert by_label(opened(counted), "folder", ()) == {"0": 0, "2": 2}
    with pytest.raises(DataError, match=r"'boat' .* is not among the classes of the fit set"):
        opened(experiment({"torchvision": "CIFAR10"}, written("u", "zip", ("car", "boat"))))
    assert classes_numbered(exp) == "the data set's own class numbers"


@pytest.mark.usefixtures("named")
def test_torchvisions_numbers_follow_names_that_are_given() -> None:
    both = {"torchvision": "CIFAR10"}
    plain = experiment(both, both)
    assert opened(plain).labels.tolist() == [2, 0, 1]
    turned = experiment(both, both, class_names=["car", "bird", "airplane"])
    same = experiment(both, both, class_names=list(MANY))
    assert opened(turned).labels.tolist() == [0, 2, 1]
    assert opened(same).identity == opened(plain).identity != opened(turned).identity
    assert pickle.loads(pickle.dumps(opened(turned))).labels.tolist() == [0, 2, 1]


@pytest.mark.usefixtures("named")
def test_torchvisions_numbers_follow_the_folders_of_the_fit_set(written: Written) -> None:
    exp = experiment(written("fit", "folder", ("ant", *MANY)), {"torchvision": "CIFAR10"})
    assert opened(exp).labels.tolist() == [3, 0, 2]
    refused = experiment(
        written("other", "folder", ("ant", "bee", "cow")), {"torchvision": "CIFAR10"}
    )
    with pytest.raises(DataError, match="labels its images by numbers"):
        _ = opened(refused).labels


@pytest.mark.usefixtures("named")
def test_two_torchvision_sets_with_other_classes_are_refused() -> None:
    exp = experiment({"torchvision": "CIFAR10"}, {"torchvision": "STL10"})
    with pytest.raises(DataError, match=r"other classes \(airplane, boat, cat, …\) than the fit"):
        _ = opened(exp).labels
    mapped = {"torchvision": "STL10", "label_map": {"0": "airplane", "1": 1, "2": "car"}}
    names = experiment({"torchvision": "CIFAR10"}, mapped)
    assert opened(names).labels.tolist() == [2, 0, 1]
    unnamed = experiment({"torchvision": "CIFAR10"}, {"torchvision": "SVHN"})
    assert opened(unnamed).labels.tolist() == [2, 0, 1]


@pytest.mark.usefixtures("named")
def test_labels_mapped_to_names_are_part_of_the_identity() -> None:
    both = {"torchvision": "CIFAR10", "label_map": {"0": "b", "1": "a", "2": "c"}}
    first = experiment(both, both, class_names=["a", "b", "c"])
    second = experiment(both, both, class_names=["b", "a", "c"])
    assert isinstance(opened(first), TorchvisionSet)
    assert opened(first).labels.tolist() != opened(second).labels.tolist()
    assert opened(first).identity != opened(second).identity


@pytest.mark.parametrize("names", [("01", "02", "03"), ("+1", "+2", "x")])
@pytest.mark.parametrize("kind", ["image_list", "manifest"])
def test_a_class_called_01_is_looked_up_by_its_name(
    written: Written, kind: str, names: tuple[str, ...]
) -> None:
    exp = experiment(written("fit", "folder", names), written("test", kind, names[:2]),
                     class_names=list(names))  # fmt: skip
    assert by_label(opened(exp), kind, names) == {names[0]: 0, names[1]: 1}


def test_a_label_map_may_speak_of_01(written: Written) -> None:
    mapped = {**written("fit", "image_list", ("01", "02")), "label_map": {"01": 0, "02": 1}}
    assert opened(experiment(mapped, mapped), "fit").labels.tolist() == [0, 1]  # type: ignore[union-attr]


@pytest.mark.parametrize("names", [("1", "2", "3"), ("0", "1", "10", "2"), ("01", "02", "03")])
def test_numbers_that_may_be_names_are_refused_until_a_label_map_says_it(
    written: Written, names: tuple[str, ...]
) -> None:
    number = int(names[2])
    labels = [int(names[1]), number]
    test = written("test", "image_list", labels)
    fit = written("fit", "folder", names)
    with pytest.raises(DataError, match=r"may be class number .* label_map"):
        opened(experiment(fit, test, class_names=list(names)))
    for meant, expected in ((names[1:3], [1, 2]), ([1, 2], [1, 2]), ([2, 0], [2, 0])):
        given = {str(x): y for x, y in zip(labels, meant, strict=True)}
        exp = experiment(fit, {**test, "label_map": given}, class_names=list(names))
        assert opened(exp).labels.tolist() == expected  # type: ignore[union-attr]


def test_class_0_says_that_numbers_are_class_numbers(written: Written) -> None:
    fit = written("fit", "image_list", [0, 1, 2])
    images = opened(experiment(fit, fit, class_names=["1", "2", "3"]), "fit")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 2]


def test_letters_with_accents_are_the_same_however_a_system_stores_them(written: Written) -> None:
    fit, test = ("caf\u00e9", "dog"), ("cafe\u0301", "dog")
    for one, other in ((fit, test), (test, fit)):
        for kind in ("folder", "image_list"):
            name = f"{kind}-{len(one[0])}"
            exp = experiment(written(f"fit{name}", "folder", one), written(name, kind, other))
            assert by_label(opened(exp), kind, other) == {other[0]: 0, "dog": 1}


def test_a_class_that_gets_its_first_image_is_counted_at_once(
    written: Written, tmp_path: Path
) -> None:
    fit = {**written("fit", "folder", ("a", "b", "c")), "label_map": {"x": "a"}}
    exp = experiment(fit, written("test", "image_list", ("a", "c")))
    image = next((tmp_path / "fit/b").iterdir())
    image.rename(tmp_path / "away.png")
    for folder in (tmp_path / "fit", *(tmp_path / "fit").iterdir()):
        os.utime(folder, (10**9, 10**9))
    assert opened(exp).labels.tolist() == [0, 1]  # type: ignore[union-attr]
    (tmp_path / "away.png").rename(image)
    assert opened(exp).labels.tolist() == [0, 2]  # type: ignore[union-attr]


def test_a_label_map_and_names_in_a_table_with_accents(written: Written, tmp_path: Path) -> None:
    fit = {
        **written("fit", "folder", ("cafe\u0301", "dog")),
        "label_map": {"caf\u00e9": 1, "dog": 0},
    }
    assert by_label(opened(experiment(fit, fit), "fit"), "folder", ()) == {
        "cafe\u0301": 1,
        "dog": 0,
    }

"""Experiment files: what they may say, and what each mistake is answered with."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ood_core.data import open_dataset
from ood_core.errors import ConfigError
from ood_core.experiments import (
    ClassifierSpec,
    Experiment,
    Preprocessing,
    load_experiment,
    parse_experiment,
)

GOOD = """
name = "mine"
title = "My network"

[classifier]
architecture = "resnet20"
checkpoint = "net.pt"
num_classes = 2

[preprocessing]
resize = 32
center_crop = 32
mean = [0.5, 0.5, 0.5]
std = [0.2, 0.2, 0.2]

[id]
fit = { folder = "fit" }
test = { folder = "test" }

[[ood]]
name = "far"
folder = "ood"

[[ood]]
name = "near"
image_list = "list.txt"
root = "."
near = true

[detectors.line]
p_a = 90
clip = 1.0
"""


def load(project: Path, text: str = GOOD) -> Experiment:
    (project / "mine.toml").write_text(text, "utf-8")
    return load_experiment(project / "mine.toml")


def test_the_file_of_the_design(project: Path) -> None:
    experiment = load(project)
    assert experiment.name == "mine"
    assert experiment.title == "My network"
    assert experiment.classifier == ClassifierSpec(
        "resnet20", checkpoint=project / "net.pt", num_classes=2
    )
    assert experiment.preprocessing == Preprocessing(32, 32, (0.5,) * 3, (0.2,) * 3)
    assert (experiment.fit_set, experiment.test_set) == ("fit", "test")
    assert experiment.ood_sets == ("far", "near")
    assert experiment.near == ("near",)
    assert experiment.detectors == {"line": {"p_a": 90, "clip": 1.0}}
    assert experiment.path == project / "mine.toml"
    assert experiment.sets["far"].source == str(project / "ood")
    assert experiment.sets["near"].kind == "image_list"
    assert [len(open_dataset(s)) for s in experiment.sets.values()] == [2, 2, 1, 1]


def test_absent_preprocessing_means_the_weights_own(project: Path) -> None:
    start, end = GOOD.index("[preprocessing]"), GOOD.index("[id]")
    assert load(project, GOOD[:start] + GOOD[end:]).preprocessing is None


def test_name_and_title_have_defaults(project: Path) -> None:
    text = GOOD.replace('name = "mine"\ntitle = "My network"\n', "")
    assert (load(project, text).name, load(project, text).title) == ("mine", "mine")


def test_no_ood_set_at_all(project: Path) -> None:
    assert load(project, GOOD[: GOOD.index("[[ood]]")]).ood_sets == ()


@pytest.mark.parametrize(
    "line", ['manifest = "table.csv"', 'torchvision = "SVHN"', 'builtin = "digits:noise"']
)
def test_other_kinds(project: Path, line: str) -> None:
    experiment = load(project, GOOD.replace('folder = "ood"', line))
    assert experiment.sets["far"].kind == line.split(" ")[0]


def test_torchvision_split_defaults_to_the_first(project: Path) -> None:
    experiment = load(project, GOOD.replace('folder = "ood"', 'torchvision = "SVHN"'))
    assert experiment.sets["far"].options["split"] == "test"


def test_the_test_set_counts_classes_as_the_fit_set_does(project: Path) -> None:
    (project / "test" / "cat" / "3.png").unlink()
    (project / "test" / "cat").rmdir()
    labels = open_dataset(load(project).sets["test"]).labels
    assert labels is not None
    assert labels.tolist() == [1]


def test_relative_paths_are_found_beside_the_file_first_then_in_the_data_roots(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "mine.toml").write_text(GOOD)
    with pytest.raises(ConfigError, match=r"checkpoint = 'net\.pt' does not exist\. Looked at "):
        load_experiment(elsewhere / "mine.toml")
    monkeypatch.setenv("OOD_LENS_DATA", str(project))
    experiment = load_experiment(elsewhere / "mine.toml")
    assert experiment.sets["fit"].source == str(project / "fit")
    (elsewhere / "net.pt").write_bytes(b"other")
    again = load_experiment(elsewhere / "mine.toml")
    assert again.classifier.checkpoint == elsewhere / "net.pt"


CLASSIFIER = r"mine\.toml \[classifier\]"
OOD = r"mine\.toml \[\[ood\]\] 1 \(far\)"

MISTAKES = {
    "long-name": ('name = "mine"', f'name = "{"a" * 101}"', "must begin .*, 100 at most"),
    "unknown-top": ("[id]", "[idd]", r"mine\.toml: unknown key 'idd'\. Did you mean 'id'\?"),
    "unknown-classifier": (
        "num_classes",
        "num_clases",
        rf"{CLASSIFIER}: unknown key 'num_clases'\. Did you mean 'num_classes'\?",
    ),
    "unknown-preprocessing": ("center_crop", "centre_crop", r"unknown key 'centre_crop'"),
    "unknown-id": ("test =", "tests =", r"\[id\]: unknown key 'tests'\. Did you mean 'test'\?"),
    "no-classes": ("[id]", "[id]\nclasses = []", r"classes must be .*one or more.*got \[\]"),
    "number-classes": ("[id]", "[id]\nclasses = [3]", r"strings in quotes, got \[3\]"),
    "unknown-ood": ('folder = "ood"', 'foldr = "ood"', r"\[\[ood\]\] 1: unknown key 'foldr'"),
    "unknown-fit": ('{ folder = "fit" }', '{ foldr = "fit" }', r"\[id\] fit: unknown key 'foldr'"),
    "not-for-kind": (
        'folder = "ood"',
        'folder = "ood"\nsplit = "test"',
        rf"{OOD}: unknown key 'split'\. .*Available: count, folder, label_map",
    ),
    "missing-folder": (
        'folder = "ood"',
        'folder = "gone"',
        rf"{OOD}: folder = 'gone' does not exist\. Looked at .*gone, .*gone",
    ),
    "empty-folder": (
        'folder = "ood"',
        'folder = "empty"',
        rf"{OOD}: folder = 'empty' holds no images \(.*empty\)\. Put image files",
    ),
    "file-for-folder": (
        'folder = "ood"',
        'folder = "net.pt"',
        rf"{OOD}: folder = 'net\.pt' is a file, not a folder",
    ),
    "folder-for-list": (
        'image_list = "list.txt"',
        'image_list = "ood"',
        r"image_list = 'ood' is a folder, not a file",
    ),
    "missing-root": ('root = "."', 'root = "gone"', r"root = 'gone' does not exist"),
    "missing-checkpoint": (
        '"net.pt"',
        '"nett.pt"',
        rf"{CLASSIFIER}: checkpoint = 'nett\.pt' does not exist",
    ),
    "folder-as-checkpoint": ('"net.pt"', '"fit"', r"checkpoint = 'fit' is a folder; name the file"),
    "two-kinds": (
        'folder = "ood"',
        'folder = "ood"\nzip = "a.zip"',
        r"give exactly one of folder, .*; got folder and zip",
    ),
    "no-kind": ('folder = "ood"\n', "", r"give exactly one of folder, .*; got none"),
    "two-weights": (
        'checkpoint = "net.pt"',
        'checkpoint = "net.pt"\nweights = "V1"',
        rf"{CLASSIFIER}: give exactly one of .*; got checkpoint and weights",
    ),
    "no-weights": (
        'checkpoint = "net.pt"\n',
        "",
        rf"{CLASSIFIER}: give exactly one of .*; got none",
    ),
    "no-architecture": (
        'architecture = "resnet20"\n',
        "",
        rf"{CLASSIFIER}: architecture is missing; it is required",
    ),
    "no-test": ('test = { folder = "test" }\n', "", r"\[id\]: test is missing; write for example"),
    "text-for-number": (
        "num_classes = 2",
        'num_classes = "2"',
        rf"{CLASSIFIER}: num_classes must be a whole number of at least 2, or 0 for a network "
        r"without a head, got '2'",
    ),
    "true-for-number": (
        "resize = 32",
        "resize = true",
        r"resize must be a whole number .* got True",
    ),
    "number-for-text": (
        '"resnet20"',
        "20",
        rf"{CLASSIFIER}: architecture must be a non-empty string in quotes, got 20",
    ),
    "two-means": ("[0.5, 0.5, 0.5]", "[0.5, 0.5]", r"mean must be 3 numbers for mode 'RGB', got"),
    "large-resize": (
        "resize = 32",
        "resize = 100000",
        r"\[preprocessing\]: resize must be a whole number of 1 to 4096 pixels, got 100000",
    ),
    "large-crop": ("center_crop = 32", "center_crop = 4097", "center_crop must be a whole number"),
    "nan-mean": ("[0.5, 0.5, 0.5]", "[nan, 0.5, 0.5]", r"mean must be finite numbers, got \[nan"),
    "nan-std": ("[0.2, 0.2, 0.2]", "[0.2, nan, 0.2]", "std must be finite numbers"),
    "inf-std": ("[0.2, 0.2, 0.2]", "[0.2, inf, 0.2]", "std must be finite numbers"),
    "zero-std": ("[0.2, 0.2, 0.2]", "[0.2, 0.0, 0.2]", r"std must be numbers above 0, got"),
    "bad-interpolation": (
        "resize = 32",
        'resize = 32\ninterpolation = "bilinar"',
        r"interpolation = 'bilinar' is not known\. Did you mean 'bilinear'\?",
    ),
    "names-and-number": (
        "num_classes = 2",
        'num_classes = 2\nclass_names = ["a"]',
        r"class_names has 1 names but num_classes = 2",
    ),
    "part-without-checkpoint": (
        'checkpoint = "net.pt"',
        'random_weights = 0\npart = "model"',
        r"part = 'model' names weights in a checkpoint, but there is random_weights = ",
    ),
    "names-twice": (
        "num_classes = 2",
        'class_names = ["a", "b", "a"]',
        r"class_names names a more than once",
    ),
    "bad-accuracy": (
        "num_classes = 2",
        "num_classes = 2\nexpected_accuracy = 94",
        r"expected_accuracy must be a number between 0 and 1, got 94",
    ),
    "same-name": ('name = "near"', 'name = "far"', r"two data sets are called 'far'"),
    "ood-named-fit": ('name = "far"', 'name = "fit"', r"two data sets are called 'fit'"),
    "set-named-as-a-column": ('name = "far"', 'name = "mean"', r"'mean' is what results call"),
    "bad-set-name": ('name = "far"', 'name = "../far"', r"name must be letters, digits"),
    "bad-name": ('name = "mine"', 'name = "a/b"', r"name = 'a/b' must begin with a letter"),
    "near-as-text": ("near = true", 'near = "yes"', r"near must be true or false, got 'yes'"),
    "zero-limit": (
        'folder = "ood"',
        'folder = "ood"\nlimit = 0',
        r"limit must be a whole number of at least 1, got 0",
    ),
    "bad-labels": (
        'folder = "ood"',
        'folder = "ood"\nlabels = "nope"',
        r"labels = 'nope' is not known\. .*Available: auto, none",
    ),
    "bad-label-map": (
        'folder = "ood"',
        'folder = "ood"\nlabel_map = { a = 1.5 }',
        r"label_map must be a table from a label to a class number or class name",
    ),
    "unknown-torchvision": (
        'folder = "ood"',
        'torchvision = "SVNH"',
        rf"{OOD}: torchvision = 'SVNH' is not known\. Did you mean 'SVHN'\?",
    ),
    "unknown-split": (
        'folder = "ood"',
        'torchvision = "SVHN"\nsplit = "tst"',
        r"split = 'tst' is not known\. Did you mean 'test'\?",
    ),
    "lsun": ('folder = "ood"', 'torchvision = "LSUN"', r"LSUN comes as LMDB files"),
    "unknown-builtin": (
        'folder = "ood"',
        'builtin = "digits:nois"',
        r"builtin = 'digits:nois' is not known\. Did you mean 'digits:noise'\?",
    ),
    "detector-value": (
        "[detectors.line]\np_a = 90\nclip = 1.0",
        "[detectors]\nline = 90",
        r"detectors\.line must be a table of parameters, got 90",
    ),
    "set-as-text": (
        '{ folder = "fit" }',
        '"fit"',
        r"\[id\] fit must be a table such as .*, got 'fit'",
    ),
    "not-toml": ("[id]", "[id", r"mine\.toml is not valid TOML: .*line"),
}


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_named(project: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=message) as caught:
        load(project, GOOD.replace(old, new, 1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"mine\.toml: classifier is missing; it is required"),
        ("classifier = 3", r"mine\.toml \[classifier\] must be a table, got 3"),
        (
            "ood = 3\n" + GOOD.split("[[ood]]")[0],
            r"ood must be a list of tables: write \[\[ood\]\]",
        ),
        ("detectors = 3\n" + GOOD.split("[[ood]]")[0], r"detectors must be tables such as"),
    ],
)
def test_other_shapes(project: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(project, text)


def test_a_file_that_is_not_text(project: Path) -> None:
    (project / "mine.toml").write_bytes(b"\xff\xfename")
    with pytest.raises(ConfigError, match=r"mine\.toml is not UTF-8 text"):
        load_experiment(project / "mine.toml")


def test_tables_from_elsewhere_can_be_parsed(project: Path) -> None:
    experiment = parse_experiment(tomllib.loads(GOOD), project / "wizard.toml")
    assert experiment.sets == load(project).sets
    with pytest.raises(ConfigError, match="experiment: name is missing"):
        parse_experiment({})


def test_experiments_import_nothing_heavy() -> None:
    code = (
        "import sys, ood_core.experiments as e; e.list_experiments(); "
        "heavy = {'torch', 'numpy', 'PIL', 'sklearn', 'scipy', 'pandas', 'ood_core.data'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

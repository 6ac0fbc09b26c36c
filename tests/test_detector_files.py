"""One detector is one file and one test file, and nothing else in the library knows it."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_NAN = "NAN and sparsity of any layer are quantities of its record, by the detectors' own formulas"
_COLUMNS = "columns and keys of tables of such quantities, not the detector"
_LINE = "the Neurons page takes LINe apart and compares it with energy"
_ODIN = "ODIN alone needs a second forward pass: its step in the image"
_SHOWCASE = "the overview compares NAN and LINe with the scores that they set out to improve"
_OF_TEXT = "a line of text, which the file's messages count"
_PLOTLY = "the key of a Plotly marker's outline"

MENTIONS: dict[str, tuple[str, str]] = {
    "data/list_entries.py": ("nan line", f"how an empty cell of a CSV reads; {_OF_TEXT}"),
    "data/list_tables.py": ("line", _OF_TEXT),
    "layers/decomposition.py": ("negative_aware_norm sparsity", _COLUMNS),
    "layers/depth.py": ("negative_aware_norm sparsity", _COLUMNS),
    "layers/quantities.py": ("negative_aware_norm", _NAN),
    "layers/units.py": ("negative_aware_norm", _NAN),
    "neurons/line_blocks.py": ("line", _LINE),
    "neurons/line_image.py": ("line Line", _LINE),
    "neurons/line_lab.py": ("line Line", _LINE),
    "neurons/line_result.py": ("line energy", _LINE),
    "plots/distributions.py": ("line", _PLOTLY),
    "plots/hidden_classifier.py": ("negative_aware_norm sparsity", _COLUMNS),
    "plots/lab.py": ("negative_aware_norm", _COLUMNS),
    "plots/layer_units.py": ("negative_aware_norm", _COLUMNS),
    "plots/layers.py": ("negative_aware_norm sparsity", _COLUMNS),
    "plots/neuron_views.py": ("line energy", f"{_PLOTLY}; {_LINE}"),
    "plots/receipts.py": ("line", _PLOTLY),
    "scoring/perturbed.py": ("odin", _ODIN),
    "scoring/score_set.py": ("odin Odin", _ODIN),
    "theory/claims/of_network.py": ("negative_aware_norm sparsity", _COLUMNS),
    "theory/claims/of_training.py": ("negative_aware_norm", _COLUMNS),
    "theory/hidden_classifier/result.py": ("feature_norm", _COLUMNS),
    "theory/lab/observing.py": ("negative_aware_norm sparsity", _COLUMNS),
    "views/showcase.py": (
        "negative_aware_norm feature_norm sparsity line Line energy",
        _SHOWCASE,
    ),
}
"""File of `ood_core` -> what it may mention of a detector (module, class or name), and why."""


def test_one_detector_is_one_file_and_one_test_file() -> None:
    allowed = {file: set(names.split()) for file, (names, _) in MENTIONS.items()}
    assert faults(ROOT, allowed) == []


def test_every_detector_is_seen_in_its_own_module() -> None:
    """What the reading below finds is what discovery finds: nothing is made where it cannot see."""
    from ood_core.detectors import all_detectors

    found = {
        name: (cls.__module__.rpartition(".")[2], cls.__name__)
        for name, cls in all_detectors().items()
        if cls.__module__.startswith("ood_core.detectors.") and "+" not in name
    }
    seen = {
        name: (path.stem, cls)
        for path in sorted((ROOT / "ood_core" / "detectors").glob("*.py"))
        for cls, (name, *_) in _detectors(_tree(path))
    }
    assert seen == found


def faults(root: Path, allowed: dict[str, set[str]]) -> list[str]:
    """One sentence per rule broken in a tree with `ood_core/` and `tests/detectors/`."""
    core = root / "ood_core"
    home = core / "detectors"
    found: list[str] = []
    known: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    for path in sorted(core.rglob("*.py")):
        here = _detectors(_tree(path))
        public = path.parent == home and not path.stem.startswith("_")
        if here and not public:
            found.append(f"{path.relative_to(root)} holds {here[0][0]}: no file of its own")
        if len(here) > 1:
            found.append(f"{path.relative_to(root)} holds {len(here)} detectors")
        if public:
            known.update({names[0]: (path.stem, cls, names) for cls, names in here})
    for name, (module, cls, names) in known.items():
        test = root / "tests" / "detectors" / f"test_{module}.py"
        if not test.exists():
            found.append(f"{name} has no tests/detectors/{test.name}")
        elif not _makes(_tree(test), cls, names):
            found.append(f"tests/detectors/{test.name} never makes {name!r}")
    mentions = {
        path.relative_to(core).as_posix(): set(_mentioned(_tree(path), known))
        for path in sorted(core.rglob("*.py"))
        if home not in path.parents
    }
    for file in sorted({*mentions, *allowed}):
        there, may = mentions.get(file, set()), allowed.get(file, set())
        found += [f"ood_core/{file} mentions {what}" for what in sorted(there - may)]
        found += [f"ood_core/{file} no longer mentions {what}" for what in sorted(may - there)]
    return found


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _detectors(tree: ast.Module) -> list[tuple[str, tuple[str, ...]]]:
    """Class, and its name and aliases, of the classes that declare what every detector must."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            values = {
                target.id: [n.value for n in ast.walk(statement) if isinstance(n, ast.Constant)]
                for statement in node.body
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if isinstance(target, ast.Name)
            }
            if {"name", "title", "reference"} <= set(values):
                found.append((node.name, (*values["name"], *values.get("aliases", ()))))
    return found


def _makes(tree: ast.Module, cls: str, names: Container[str]) -> bool:
    """Whether the code calls the class, or passes a name of its to `make_detector`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            first = node.args[0] if node.args else None
            by_name = isinstance(first, ast.Constant) and first.value in names
            if node.func.id == cls or (node.func.id == "make_detector" and by_name):
                return True
    return False


def _mentioned(
    tree: ast.Module, known: dict[str, tuple[str, str, tuple[str, ...]]]
) -> Iterator[str]:
    """Modules imported, classes used and names written out."""
    modules = {module for module, _, _ in known.values()}
    classes = {cls for _, cls, _ in known.values()}
    spelled = {name for _, _, names in known.values() for name in names}
    numbers = {  # float("nan") is not the detector
        id(arg)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float"
        for arg in node.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "ood_core.detectors"
        ):
            yield from modules & {node.module.rpartition(".")[2], *(a.name for a in node.names)}
        elif isinstance(node, ast.Import):
            paths = [a.name.split(".") for a in node.names]
            yield from modules & {
                p[2] for p in paths if p[:2] == ["ood_core", "detectors"] and p[2:]
            }
        elif isinstance(node, ast.Name | ast.Attribute):
            written = node.id if isinstance(node, ast.Name) else node.attr
            yield from classes & {written}
        elif isinstance(node, ast.Constant) and id(node) not in numbers:
            yield from spelled & {node.value}


DETECTOR = """
    class {cls}(Detector):
        name = "{name}"
        title = "Title"
        reference = "none"
"""


def write(root: Path, **files: str) -> Path:
    """A tree with one sound detector, then `files`, whose `__` are folders."""
    sound = {
        "ood_core__detectors__median": DETECTOR.format(cls="Median", name="med"),
        "ood_core__detectors___shared": "class Base(Detector):\n    name: str",
        "ood_core__scoring": "from ood_core.detectors import make_detector",
        "tests__detectors__test_median": 'make_detector("med", k=1).fit(acts)',
    }
    for file, text in {**sound, **files}.items():
        path = root / (file.replace("___", "/_").replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (
            {
                "ood_core__detectors__median": DETECTOR.format(cls="Median", name="med")
                + DETECTOR.format(cls="Mode", name="mode"),
                "tests__detectors__test_median": 'make_detector("med"), Mode()',
            },
            "ood_core/detectors/median.py holds 2 detectors",
        ),
        (
            {"ood_core__detectors___more": DETECTOR.format(cls="Mode", name="mode")},
            "ood_core/detectors/_more.py holds Mode: no file of its own",
        ),
        (
            {"ood_core__layers": DETECTOR.format(cls="Mode", name="mode")},
            "ood_core/layers.py holds Mode: no file of its own",
        ),
        (
            {"ood_core__detectors__mode": DETECTOR.format(cls="Mode", name="mode")},
            "mode has no tests/detectors/test_mode.py",
        ),
        (
            {"tests__detectors__test_median": '"med"; make_detector("mean")'},
            "tests/detectors/test_median.py never makes 'med'",
        ),
        ({"ood_core__views": 'TABLE = {"med": 1}'}, "ood_core/views.py mentions med"),
        ({"ood_core__views": "x = detectors.Median"}, "ood_core/views.py mentions Median"),
        (
            {"ood_core__views": "def f():\n    from ood_core.detectors.median import helper"},
            "ood_core/views.py mentions median",
        ),
        (
            {"ood_core__views": "import ood_core.detectors.median"},
            "ood_core/views.py mentions median",
        ),
    ],
)
def test_the_reading_can_fail(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    assert faults(write(tmp_path), {}) == []
    assert faults(write(tmp_path, **files), {}) == [fault]


def test_exceptions_are_named_one_by_one_and_go_when_they_are_not_needed(tmp_path: Path) -> None:
    tree = write(tmp_path, ood_core__views='x = float("med"), "med"')
    assert faults(tree, {"views.py": {"med"}}) == []
    assert faults(tree, {"views.py": {"med", "Median"}}) == [
        "ood_core/views.py no longer mentions Median"
    ]
    assert faults(write(tmp_path, ood_core__views='x = float("med")'), {}) == []

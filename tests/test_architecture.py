"""The structure that docs/architecture.md promises: imports go one way, a name means one thing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "ood_core"
FRONT = (ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py")))
CORE_FILES = tuple(sorted(CORE.rglob("*.py")))

ORDER = (
    "errors", "runtime", "experiments", "metrics", "thresholds", "data", "models", "activations",
    "detectors", "scoring", "layers", "neurons", "theory", "papers", "views", "export", "wizard",
    "plots", "commands",
)  # fmt: skip
"""Every module and package of `ood_core`, each with a rank of its own."""

MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 50
HEAVY = {"torch", "torchvision", "pandas", "scipy", "sklearn", "plotly", "pyarrow", "PIL"}
"""What takes long to import: the reason for an import inside a function."""
OPTIONAL = {
    "timm", "ray", "umap", "pytorch_ood", "onnx", "onnxruntime", "transformers", "h5py",
}  # fmt: skip
"""Packages that need not be installed: the other reason."""
AT_ONCE = {"numpy"}
"""What commands do not import before they run, so that `--help` answers at once."""


@dataclass(frozen=True)
class Import:
    """One imported module, and how."""

    module: str
    line: int
    inside: bool
    """Whether it happens inside a function."""
    typing: bool
    """Whether it is for type checkers alone."""


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module_name(path): path for path in (*CORE_FILES, *FRONT)}


def _named(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    module = node.module or ""
    inner = [f"{module}.{a.name}" for a in node.names if f"{module}.{a.name}" in MODULES]
    yield from inner
    if len(inner) < len(node.names):
        yield module


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Every import of a file."""
    found: list[Import] = []

    def walk(node: ast.AST, inside: bool, typing: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                assert getattr(child, "level", 0) == 0, f"{path}:{child.lineno}: relative import"
                found.extend(Import(m, child.lineno, inside, typing) for m in _named(child))
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            checked = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            walk(child, inside or function, typing or checked)

    walk(ast.parse(path.read_text(encoding="utf-8")), False, False)
    return tuple(found)


def _where(path: Path, found: Import) -> str:
    return f"{path.relative_to(ROOT)}:{found.line} imports {found.module}"


# Which way imports go.


def _part(module: str) -> str:
    return module.split(".")[1]


def test_every_package_has_a_rank() -> None:
    there = {p.stem for p in CORE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert there - {"__init__", "__main__"} == set(ORDER)


@pytest.mark.parametrize("path", CORE_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_data_flows_one_way(path: Path) -> None:
    own = _module_name(path).split(".")
    if len(own) == 1 or own[1] == "__main__":
        return  # the package itself has lazy names only
    for found in imports(path):
        if found.module.startswith("ood_core."):
            assert ORDER.index(_part(found.module)) <= ORDER.index(own[1]), _where(path, found)


@pytest.mark.parametrize("path", CORE_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_core_never_imports_a_front_end(path: Path) -> None:
    for found in imports(path):
        assert found.module.split(".")[0] not in {"streamlit", "pages", "app"}, _where(path, found)


@pytest.mark.parametrize("path", FRONT, ids=lambda p: str(p.relative_to(ROOT)))
def test_pages_compute_nothing(path: Path) -> None:
    """Front ends select, call ood_core and draw: no numerics, no models, no files of arrays."""
    banned = {"numpy", "torch", "torchvision", "sklearn", "scipy", "safetensors", "timm"}
    for found in imports(path):
        if not found.typing:
            assert found.module.split(".")[0] not in banned, _where(path, found)


@pytest.mark.parametrize("path", FRONT, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_only_one_page_shows_is_imported_by_it_alone(path: Path) -> None:
    """The kit stands on itself, charts on the kit, a page's folder on both."""
    parts = path.relative_to(ROOT).parts
    if parts[:2] != ("pages", "components") or len(parts) < 4:
        return
    allowed = {parts[2], "kit"} | ({"charts"} if parts[2] != "kit" else set())
    for found in imports(path):
        if found.module.startswith("pages.components."):
            assert found.module.split(".")[2] in allowed, _where(path, found)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = []
            while group[-1:] != [node]:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_no_circle() -> None:
    """Imports inside functions count: a circle that is put off is still one."""
    graph = {
        name: {i.module for i in imports(path) if i.module in MODULES and not i.typing} - {name}
        for name, path in MODULES.items()
    }
    assert circles(graph) == []


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "c"}}
    assert circles(graph) == [["b", "c"]]


# Names and sizes.


def _names(paths: Iterator[Path]) -> list[str]:
    """Names of modules and packages."""
    return [p.parent.name if p.stem == "__init__" else p.stem for p in paths]


@pytest.mark.parametrize("what", ["library", "plots", "commands", "components"])
def test_a_name_means_one_thing(what: str) -> None:
    """Plots, commands and pages show what the library has, under its name; else a name is once."""
    fronts = (CORE / "plots", CORE / "commands")
    paths = {
        "library": (p for p in CORE_FILES if p.parent not in fronts),
        "plots": iter(sorted(fronts[0].glob("*.py"))),
        "commands": iter(sorted(fronts[1].glob("*.py"))),
        "components": iter(sorted((ROOT / "pages" / "components").rglob("*.py"))),
    }
    names = _names(paths[what])
    assert sorted({n for n in names if names.count(n) > 1}) == []


@pytest.mark.parametrize("path", MODULES.values(), ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_and_functions_are_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES, f"{path}: look for a better cut"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]
            assert lines <= MOST_LINES_OF_A_FUNCTION, f"{path}:{node.lineno} {node.name}"


# What is imported when.


@cache
def loaded(module: str) -> frozenset[str]:
    """Packages that are there once a module is imported, as far as our own files say."""
    return frozenset(_reached(module, set()))


def _reached(module: str, seen: set[str]) -> set[str]:
    if module in seen:
        return set()
    seen.add(module)
    found = set()
    if "." in module:
        found |= _reached(module.rpartition(".")[0], seen)
    if module not in MODULES:
        return found | set(module.split("."))  # safetensors.torch is torch
    for i in imports(MODULES[module]):
        if not (i.inside or i.typing):
            found |= _reached(i.module, seen)
    return found


@pytest.mark.parametrize("path", MODULES.values(), ids=lambda p: str(p.relative_to(ROOT)))
def test_an_import_inside_a_function_has_a_reason(path: Path) -> None:
    """It spares start-up a heavy package that this module does without, or it is optional."""
    own = loaded(_module_name(path))
    reasons = HEAVY | OPTIONAL | (AT_ONCE if path.parent == CORE / "commands" else set())
    for found in imports(path):
        if found.inside:
            spared = (loaded(found.module) - own) & reasons
            assert spared, f"{_where(path, found)} inside a function; nothing heavy is spared"


def _imported(modules: str, heavy: set[str]) -> str:
    """Which of the heavy modules are there once these are imported, in a process of its own."""
    code = f"import sys, {modules}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_core_is_cheap() -> None:
    """Scoring stored activations must not pay for torch."""
    core = ("activations", "detectors", "experiments", "metrics", "scoring", "thresholds", "models")
    modules = ", ".join(["ood_core", *(f"ood_core.{part}" for part in core)])
    found = _imported(
        f"{modules}; ood_core.all_detectors()",
        {"torch", "torchvision", "timm", "streamlit", "ray"},
    )
    assert not found


def test_pages_import_what_they_need_when_they_need_it() -> None:
    """The first chart must not wait for pandas or scipy, which its page needs later."""
    modules = "pages.components.kit.frame, pages.components.scores.workbench"
    assert not _imported(modules, {"torch", "pandas", "scipy", "sklearn"})


def test_no_library_module_prints() -> None:
    for path in CORE_FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno} prints"

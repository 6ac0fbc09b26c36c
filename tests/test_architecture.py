"""The structure that DESIGN promises: imports go one way, the core knows no front end."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ood_core

ROOT = Path(__file__).parents[1]
CORE = ROOT / "ood_core"

ORDER = (
    "errors", "runtime", "experiments", "metrics", "thresholds", "data", "models", "activations",
    "detectors", "scoring", "layers", "neurons", "theory", "papers", "views", "export", "wizard",
    "plots", "commands",
)  # fmt: skip
"""Every module and package of `ood_core`, each with a rank of its own: it imports only from its
left. docs/architecture.md shows the same order."""
RANK = {name: rank for rank, name in enumerate(ORDER)}


def _rank(module: str) -> int:
    parts = module.split(".")
    if len(parts) < 2:
        return -1  # the package itself: lazy names only
    if parts[1] == "__main__":
        return len(ORDER)
    assert parts[1] in RANK or hasattr(ood_core, parts[1]), f"{module} has no rank"
    return RANK.get(parts[1], -1)  # a public name such as ood_core.load_experiment


def _imports(path: Path) -> list[tuple[str, int, bool]]:
    """Modules that a file imports, with the line and whether it is at module level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write the full name"
            found.append((node.module or "", node.lineno, id(node) in top))
            if node.module == "ood_core":
                found += [(f"ood_core.{a.name}", node.lineno, id(node) in top) for a in node.names]
    return found


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


CORE_FILES = sorted(CORE.rglob("*.py"))


@pytest.mark.parametrize("path", CORE_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_core_never_imports_a_front_end(path: Path) -> None:
    for module, line, _ in _imports(path):
        root = module.split(".")[0]
        assert root not in {"streamlit", "pages", "app"}, f"{path}:{line} imports {module}"


@pytest.mark.parametrize("path", CORE_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_data_flows_one_way(path: Path) -> None:
    own = _rank(_module_name(path))
    if own < 0:
        return
    for module, line, _ in _imports(path):
        if module.startswith("ood_core."):
            assert _rank(module) <= own, (
                f"{path.relative_to(ROOT)}:{line} imports {module}, a later stage"
            )


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "pages").rglob("*.py")), ROOT / "app.py"], ids=lambda p: p.name
)
def test_pages_compute_nothing(path: Path) -> None:
    """Front ends select, call ood_core and draw: no numerics, no models, no files of arrays."""
    banned = {"numpy", "torch", "torchvision", "sklearn", "scipy", "safetensors", "timm"}
    for module, line, _ in _imports(path):
        assert module.split(".")[0] not in banned, f"{path.name}:{line} imports {module}"


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
        if path.name in {"cli.py", "__main__.py"}:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno} prints"

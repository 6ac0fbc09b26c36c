"""What is kept on disk is found by declared versions: a change of the code must declare itself."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path

import pytest

import ood_core.theory
from ood_core.theory import hidden_classifier
from ood_core.theory.lab import plan
from ood_core.theory.stored_measurements import Key

THEORY = Path(ood_core.theory.__path__[0])
LAB_FILES = ("network", "observing", "plan", "training", "vectors")
LAB = [THEORY / "lab" / f"{name}.py" for name in LAB_FILES]


def code_of(files: Iterable[Path]) -> str:
    """Hash of what the files do: without imports, messages, docstrings, comments and layout."""
    parts = []
    for file in sorted(files):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                node.body = [n for n in body if not _says_nothing(n)] or [ast.Pass()]
        parts.append(ast.unparse(_Unworded().visit(tree)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


class _Unworded(ast.NodeTransformer):
    """Leaves out f-strings: they are messages, and Python versions quote them differently."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Constant:
        return ast.Constant("")


def _says_nothing(node: ast.AST) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.Import | ast.ImportFrom)


@pytest.mark.parametrize(
    ("what", "version", "files", "expected"),
    [
        ("ood_core.theory.lab.plan.RECIPE", plan.RECIPE, LAB, (2, "6e22d41aef28c8cd")),
        (
            "ood_core.theory.hidden_classifier.VERSION",
            hidden_classifier.VERSION,
            [*(THEORY / "hidden_classifier").glob("*.py")],
            (1, "e1bef0f603fb8d80"),
        ),
    ],
    ids=["lab", "hidden classifier"],
)
def test_code_that_changed_says_whether_its_numbers_did(
    what: str, version: int, files: list[Path], expected: tuple[int, str]
) -> None:
    assert (version, code_of(files)) == expected, (
        f"the code behind {what} changed. Where it gives other numbers, raise {what}; then write "
        "the new pair here."
    )


def test_imports_docstrings_and_comments_are_no_change(tmp_path: Path) -> None:
    one, same, other = (tmp_path / f"{name}.py" for name in ("one", "same", "other"))
    one.write_text('"""A."""\nimport a\n\ndef f(x):\n    """B."""\n    return x + 1\n')
    same.write_text("from b import c\n\n\ndef f(x):  # why\n    return x + 1\n")
    other.write_text("def f(x):\n    return x + 2\n")
    assert code_of([one]) == code_of([same]) != code_of([other])


def test_a_measurement_is_found_by_version_and_content(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Key("weights", "images", "layer1", 100, None)
    before = key.path.name
    assert before == "aaed18b629896fdac932b118d9ecc9ac.safetensors"
    assert dataclasses.replace(key, top=5).path.name != before
    monkeypatch.setattr(hidden_classifier, "VERSION", 2)
    assert key.path.name != before

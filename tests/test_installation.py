"""`pip install .`: what is in the wheel, the command that it gives, and what is left of it."""

from __future__ import annotations

import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ood_core.commands import _main, all_commands, dashboard
from ood_core.errors import ConfigError
from tests.installing import ROOT, Installed, build, environment

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    made = environment(tmp_path_factory.mktemp("installed"))
    made.pip("install", "--no-deps", "--no-index", str(wheel))
    return made


def test_the_wheel_holds_the_library_and_the_dashboard_and_nothing_else(wheel: Path) -> None:
    def there(*folders: str) -> set[str]:
        files = (p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file())
        return {str(p.relative_to(ROOT)) for p in files if "__pycache__" not in p.parts}

    pages = {f"ood_lens_dashboard/{name}" for name in {"app.py", *there("pages", ".streamlit")}}
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert inside == there("ood_core") | pages
    assert {"config.toml", "nav.js", "style.css", "map.html"} <= {Path(n).name for n in inside}


def test_the_command_works_from_anywhere(installed: Installed) -> None:
    done = installed.run(installed.command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ood-lens ")
    for name in all_commands():
        assert f"\n    {name}" in done.stdout
    assert installed.run(installed.command, "--version").stdout == f"ood-lens {_version()}\n"
    listed = installed.run(installed.command, "experiments")
    assert re.search(r"^digits +ready", listed.stdout, re.M), listed.stderr
    wrong = installed.run(installed.command, "score", "digits", "--nope")
    assert wrong.returncode == 2
    assert "unrecognized arguments: --nope" in installed.run(
        installed.command, "store", "--nope"
    ).stderr  # fmt: skip


def test_pages_is_no_package_of_everyone(installed: Installed) -> None:
    code = "import importlib.util as u; print(u.find_spec('pages'), u.find_spec('app'))"
    assert installed.run(installed.python, "-P", "-c", code).stdout == "None None\n"
    code = "import ood_core, sys; ood_core.all_detectors(); print('streamlit' in sys.modules)"
    assert installed.run(installed.python, "-P", "-c", code).stdout == "False\n"


def test_nothing_is_left_of_it(wheel: Path, tmp_path: Path) -> None:
    made = environment(tmp_path)
    before = made.files()
    made.pip("install", "--no-deps", "--no-index", str(wheel))
    made.run(made.command, "--help")
    assert made.files() > before
    made.pip("uninstall", "--yes", "ood-lens")
    assert made.files() == before


def _version() -> str:
    return re.search(r'__version__ = "(.*)"', (ROOT / "ood_core/__init__.py").read_text())[1]


def test_what_is_tested_is_what_an_installation_may_have() -> None:
    """Each pinned package lies within the range that pip resolves, and none is in one list only."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = {r.name: r for r in map(Requirement, (n for n in lines if n and n[0] != "#"))}
    ranges = {r.name: r for r in map(Requirement, PROJECT["dependencies"])}
    assert set(pins) == set(ranges)
    for name, pin in pins.items():
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert exact.version in ranges[name].specifier, name


# `dashboard`: how it starts Streamlit.


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines that the process would have become."""
    found: list[list[str]] = []
    monkeypatch.setattr("os.execve", lambda path, command, env: found.append(command))
    return found


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ([], []),
        (["dashboard"], []),
        (["dashboard", "--quiet"], []),
        (["--server.maxUploadSize", "9"], ["--server.maxUploadSize", "9"]),
        (["dashboard", "--theme.base=dark"], ["--theme.base=dark"]),
    ],
)
def test_alone_it_opens_the_dashboard(started, monkeypatch, given, passed_on) -> None:
    monkeypatch.setattr("sys.argv", ["ood-lens", *given])
    assert _main.ood_lens() == 0
    (command,) = started
    assert command[1:5] == ["-P", "-m", "streamlit", "run"]
    assert command[5:] == [*passed_on, str(ROOT / "app.py")]


@pytest.mark.parametrize("option", [["--port", "0"], ["--port=x"], ["--server.port", "65536"]])
def test_a_port_that_cannot_be_is_told(started, capsys, option) -> None:
    assert _main.main(["dashboard", *option]) == 2
    assert "must be a number from 1 to 65535, got" in capsys.readouterr().err
    assert not started


def test_a_port_in_use_is_told(started, capsys) -> None:
    import socket

    with socket.socket() as s:
        s.bind((dashboard.HOST, 0))
        s.listen()
        port = s.getsockname()[1]
        assert _main.main(["dashboard", "--port", str(port)]) == 2
    assert f"port {port} cannot be used (" in capsys.readouterr().err
    assert _main.main(["dashboard", "--port", str(port)]) == 0
    assert capsys.readouterr().err.startswith(f"OOD Lens: http://127.0.0.1:{port} ")
    assert started[0][5:7] == ["--server.port", str(port)]


def test_a_word_that_streamlit_would_pass_over_is_told(started, capsys) -> None:
    assert _main.main(["dashboard", "8502"]) == 2
    assert "takes options only, got '8502'" in capsys.readouterr().err


def test_a_library_without_pages_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("ood_core.__file__", str(tmp_path / "ood_core" / "__init__.py"))
    with pytest.raises(ConfigError, match=r"pages of the dashboard are not beside .* pip install"):
        dashboard.script_path()


def test_make_run_is_the_same_command() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert 'ood_core dashboard --port "$(PORT)"' in makefile
    assert subprocess.run(["make", "-n", "run"], cwd=ROOT, check=False).returncode == 0

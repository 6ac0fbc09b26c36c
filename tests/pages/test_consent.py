"""An experiment with code of its own, on the pages: shown, asked for, and not run before."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from ood_core.experiments import load_experiment
from ood_core.models import code_request, only_command_line_consents
from tests.commands.test_trust import FILE
from tests.models.test_own_networks import NET

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mine(tmp_path, digits_home, monkeypatch):
    """A home in which an experiment with code of its own waits; its code leaves a file."""
    home = tmp_path / "home"
    shutil.copytree(digits_home, home)
    folder = home / "experiments"
    folder.mkdir(exist_ok=True)
    ran = tmp_path / "ran"
    (folder / "my_net.py").write_text(f"open({str(ran)!r}, 'w').close()\n# **<b>bold\n{NET}")
    (folder / "mine.toml").write_text(FILE)
    monkeypatch.setenv("OOD_LENS_HOME", str(home))
    monkeypatch.delenv("OOD_LENS_NO_CODE", raising=False)
    st.cache_resource.clear()
    yield ran
    only_command_line_consents(False)
    st.cache_resource.clear()


def _open(page: str = "app.py", experiment: str = "mine") -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params["experiment"] = experiment
    if page != "app.py":
        app.switch_page(page)
    return _ok(app.run())


def _ok(app: AppTest) -> AppTest:
    assert not app.exception, [e.value for e in app.exception]
    return app


def _words(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.warning, *app.info, *app.error, *app.code]
    return " ".join(str(p.value) for p in parts)


def _keys(app: AppTest) -> set[str]:
    return {b.key for b in app.button if b.key}


@pytest.mark.parametrize("page", ["app.py", "pages/1_Scores.py", "pages/5_Score_images.py"])
def test_it_waits_and_is_shown(mine, page) -> None:
    app = _open(page)
    assert "brings a network as Python code" in _words(app)
    assert "prepare" not in _keys(app), "nothing can be prepared before"
    app.button(key="consent_show_mine").click()
    app = _ok(app.run())
    said = _words(app)
    request = code_request(load_experiment("mine"))
    assert str(request.path) in said
    assert request.digest in said
    assert "# **<b>bold" in said
    app.button(key="consent_cancel").click()
    app = _ok(app.run())
    assert "consent_run" not in _keys(app)
    assert code_request(load_experiment("mine")) is not None
    assert not mine.exists()


def test_agreed_to_it_can_be_prepared_and_scored(mine) -> None:
    app = _open("pages/1_Scores.py")
    app.button(key="consent_show_mine").click()
    app = _ok(app.run())
    app.button(key="consent_run").click()
    app = _ok(app.run())
    assert not mine.exists(), "agreeing runs nothing yet"
    assert "consent_show_mine" not in _keys(app)
    app.button(key="prepare").click()
    app = _ok(app.run())
    start = time.monotonic()
    while "prepare_stop" in _keys(app) or "prepare" in _keys(app):
        assert time.monotonic() - start < 60, _words(app)
        time.sleep(0.3)
        app = _ok(app.run())
    assert mine.exists()
    code = load_experiment("mine").path.with_name("my_net.py")
    code.write_text(code.read_text() + "\n# changed\n")
    st.cache_resource.clear()
    app = _open("pages/1_Scores.py")
    assert "consent_show_mine" in _keys(app), "changed code asks again"


def test_code_that_changes_while_the_dialog_is_open_is_not_run(mine) -> None:
    app = _open()
    app.button(key="consent_show_mine").click()
    app = _ok(app.run())
    code = load_experiment("mine").path.with_name("my_net.py")
    before = code.read_text()
    code.write_text(before + "\n# changed\n")
    app.button(key="consent_run").click()
    assert "changed since it was shown" in _words(_ok(app.run()))
    assert code_request(load_experiment("mine")) is not None
    code.write_text(before)
    assert code_request(load_experiment("mine")) is not None


@pytest.mark.parametrize("address", [None, "0.0.0.0", "192.168.1.5", "::", "my-host", "unix:///x"])
def test_where_others_may_look_nobody_can_agree(mine, monkeypatch, address) -> None:
    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda k: address if k == "server.address" else real(k))
    app = _open()
    app.button(key="consent_show_mine").click()
    app = _ok(app.run())
    assert "consent_run" not in _keys(app)
    assert "nobody can agree here" in _words(app)
    assert "python -m ood_core extract mine --trust" in _words(app)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_on_ones_own_machine_one_can(mine, monkeypatch, address) -> None:
    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda k: address if k == "server.address" else real(k))
    app = _open()
    app.button(key="consent_show_mine").click()
    assert "consent_run" in _keys(_ok(app.run()))


def test_what_is_wrong_with_the_code_is_a_message(mine) -> None:
    code = load_experiment("mine").path.with_name("my_net.py")
    code.write_text("import nothing_of_this_name")
    app = _open()
    app.button(key="consent_show_mine").click()
    app = _ok(app.run())
    app.button(key="consent_run").click()
    app = _ok(app.run())
    app.button(key="prepare").click()
    app = _ok(app.run())
    start = time.monotonic()
    while "neither installed nor beside the file" not in _words(app):
        assert time.monotonic() - start < 60, _words(app)
        time.sleep(0.3)
        app = _ok(app.run())
    code.unlink()
    st.cache_resource.clear()
    app = _open()
    assert "there is no file 'my_net.py'" in _words(app), "a file that is gone is a broken entry"

"""Names that Markdown, LaTeX or a font would take for their own: shown as they are written."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.components.kit.plain import plain

ROOT = Path(__file__).parents[2]
PAGES = ["app.py", *(f"pages/{p.name}" for p in sorted((ROOT / "pages").glob("[0-9]*.py")))]
NAMES = ("**bold**", ":red[hot]", "$x$", "<b>tag", ":smile:", "`code`")
CLASSES = ("$class$", "**b**", ":red[c]", "<b>d")
FILES = ("caf\udce9.png", "a\u202egnp.png", "new\nline.png", "$y$.png", "<i>.png", "😀.png")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """An experiment whose title, classes and images have such names, prepared."""
    base = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    for folder in ("fit", "test", "odd"):
        for label in CLASSES:
            (base / folder / label).mkdir(parents=True)
            for name in FILES:
                image = Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8))
                buffer = io.BytesIO()
                image.save(buffer, "PNG")
                (base / folder / label / name).write_bytes(buffer.getvalue())
    lines = [
        "title = '$t$ **t** :red[t] <b>t'", "[classifier]", 'architecture = "digits_cnn"',
        "random_weights = 3", "num_classes = 4", f"class_names = {list(CLASSES)}",
        "[preprocessing]", "resize = 16",
        "center_crop = 16", "mean = [0.3]", "std = [0.3]", 'mode = "L"', "[id]",
        f'fit = {{ folder = "{base}/fit" }}', f'test = {{ folder = "{base}/test" }}',
    ]  # fmt: skip
    lines += ["[[ood]]", "name = 'odd_'", f'folder = "{base}/odd"']
    (base / "home" / "experiments").mkdir(parents=True)
    file = base / "home" / "experiments" / "hostile.toml"
    file.write_text("name = 'hostile'\n" + "\n".join(lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OOD_LENS_HOME", str(base / "home"))
        import ood_core

        ood_core.extract(ood_core.load_experiment("hostile"))
    return base / "home"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_names_as_they_are_written(home, monkeypatch, page):
    monkeypatch.setenv("OOD_LENS_HOME", str(home))
    st.cache_resource.clear()
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params["experiment"] = "hostile"
    if page != "app.py":
        app.switch_page(page)
    app.run()
    assert not app.exception, [e.value for e in app.exception]
    for kind in ("markdown", "caption", "error", "warning", "info", "success"):
        for element in app.get(kind):
            text = str(element.value)
            if "<style" in text or text.startswith("<"):
                continue
            for name in ("$t$", "**t**", ":red[t]", "<b>t", *CLASSES):
                assert not re.search(rf"(?<!\\){re.escape(name)}", text), (kind, text)


@pytest.mark.parametrize("name", NAMES)
def test_plain_text_has_nothing_of_streamlits(name):
    assert not re.search(rf"(?<!\\){re.escape(name)}", plain(name))
    assert plain(f"a {name}") == f"a {plain(name)}"
    assert plain("nan, 50 %: k = 3 (of [detectors.knn])") == "nan, 50 %: k = 3 (of [detectors.knn])"

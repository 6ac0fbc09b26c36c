"""Reading the wizard's page as AppTest runs it."""

from __future__ import annotations

import html
import time

import pytest
from streamlit.testing.v1 import AppTest


def texts(at: AppTest) -> str:
    return html.unescape(" ".join(element.proto.body for element in at.get("html")))


def wait(at: AppTest, until: str) -> str:
    """Run the page until a text is on it."""
    for _ in range(200):
        at.run()
        assert not at.exception
        if until in (shown := texts(at)):
            return shown
        time.sleep(0.2)
    pytest.fail(f"{until!r} did not appear on the page")

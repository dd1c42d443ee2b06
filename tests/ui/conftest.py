"""One browser for all pages. Where there is no Chromium, what needs it is skipped and says what to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ui.browser import Browser, browser, missing


@pytest.fixture(scope="session")
def window() -> Iterator[Browser]:
    """A window of headless Chromium."""
    why = missing()
    if why:
        pytest.skip(why)
    with browser() as opened:
        yield opened

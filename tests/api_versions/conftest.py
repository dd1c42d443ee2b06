"""What the tests of API versions need of the testbed."""

from __future__ import annotations

from typing import Any

import pytest

from testbed import build


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need before the process leaves the network."""
    if session.config.option.collectonly:
        return
    if any("story" in getattr(item, "fixturenames", ()) for item in session.items):
        capture: Any = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            build.ensure("k8s", "kwok", "contour", "prometheus")

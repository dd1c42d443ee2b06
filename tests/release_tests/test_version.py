"""There is one version."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from release.lock import ROOT
from release.version import CHANGELOG, NUMBER, PLACES, places, problems, set_to

from syncrollout import __version__


def test_it_is_the_same_wherever_it_stands() -> None:
    assert problems(ROOT) == []
    assert places(ROOT)["pyproject.toml"] == {__version__}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that it stands in."""
    for name in (*PLACES, CHANGELOG):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_it_is_written_everywhere_and_closes_what_was_unreleased(copy: Path) -> None:
    set_to(copy, "7.8.9-rc.1", "2030-01-02")
    assert set(map(frozenset, places(copy).values())) == {frozenset({"7.8.9-rc.1"})}
    text = (copy / CHANGELOG).read_text()
    assert "## Unreleased\n\n## 7.8.9-rc.1 - 2030-01-02\n\n" in text
    assert text.count("The resource `SyncRollout`") == 1
    with pytest.raises(ValueError, match="nothing under Unreleased"):
        set_to(copy, "7.8.9", "2030-01-03")


def test_a_file_that_says_another_is_named(copy: Path) -> None:
    chart = copy / "charts/syncrollout/Chart.yaml"
    chart.write_text(chart.read_text().replace(f"appVersion: {__version__}", "appVersion: 9.9.9"))
    assert problems(copy) == [
        f"charts/syncrollout/Chart.yaml says {__version__}, 9.9.9, and pyproject.toml {__version__}"
    ]


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3+local", "next"])
def test_what_is_no_version_is_refused(copy: Path, version: str) -> None:
    with pytest.raises(ValueError, match="is no version"):
        set_to(copy, version, "2030-01-02")


def test_the_changelog_has_its_form() -> None:
    text = (ROOT / CHANGELOG).read_text()
    headings = re.findall("^## (.*)$", text, flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(NUMBER + r" - \d{4}-\d\d-\d\d", each) for each in headings[1:])
    kinds = set(re.findall(r"^- \*\*(.+?)\*\*", text, flags=re.MULTILINE))
    assert kinds <= {"Changed", "Deprecated", "Removed", "Fixed", "Security"}

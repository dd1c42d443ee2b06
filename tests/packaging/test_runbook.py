"""docs/runbook/: whoever is woken by a reason or an alert finds its page, and the page says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from syncrollout.api.spec import MetricKind
from syncrollout.api.words import Reason, Unknown
from syncrollout.monitoring.rules import NO_DATA_PAGE

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "runbook"
RULES = ROOT / "manifests" / "prometheus"
KINDS = tuple(f"metric-{kind.value}" for kind in MetricKind)
"""Pages that alerts on a rollout's metrics link to."""
OF_DIAGNOSE = ("clocks", "no-operator")
SECTIONS = ("What the operator does by itself", "What to look at", "What to do", "Whom to call")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SHORTEST = 40


def _sections(page: Path) -> dict[str, str]:
    """The text below each heading of the second level; under the empty name that before the first."""
    parts = re.split(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
    return dict(zip(["", *parts[1::2]], parts[0::2], strict=True))


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_every_reason_has_a_page_that_says_what_to_do(reason: Reason) -> None:
    page = RUNBOOK / f"{reason}.md"
    assert page.is_file(), f"write docs/runbook/{reason}.md, with the sections {', '.join(SECTIONS)}"
    sections = _sections(page)
    opening = sections.pop("")
    title, _, meaning = opening.partition("\n")
    assert title == f"# {reason}"
    assert len(meaning.strip()) >= _SHORTEST, "the page begins with what the reason means"
    assert tuple(sections) == SECTIONS
    assert all(text.strip() for text in sections.values())
    assert "```\nkubectl " in sections["What to look at"], "it gives the commands to look by"


@pytest.mark.parametrize("unknown", Unknown, ids=str)
def test_every_reason_for_a_missing_reading_has_a_section(unknown: Unknown) -> None:
    text = _sections(RUNBOOK / "unknown.md").get(unknown.value, "")
    assert len(text.strip()) >= _SHORTEST, f"docs/runbook/unknown.md needs a section '## {unknown}'"


def test_every_alert_that_comes_with_the_operator_has_a_page() -> None:
    alerts = {
        rule["alert"]
        for file in RULES.glob("*.yaml")
        for group in yaml.safe_load(file.read_text()).get("groups", ())
        for rule in group["rules"]
        if "alert" in rule
    }
    assert alerts
    assert {page.stem for page in (RUNBOOK / "alerts").glob("*.md")} == alerts


def test_every_alert_on_a_metric_links_to_a_page() -> None:
    assert [page for page in (*KINDS, NO_DATA_PAGE) if not (RUNBOOK / f"{page}.md").is_file()] == []


def test_there_is_no_page_of_something_that_nothing_shows() -> None:
    pages = {page.stem for page in RUNBOOK.glob("*.md")}
    assert pages == {*(reason.value for reason in Reason), *KINDS, *OF_DIAGNOSE, "unknown", "README"}


def test_the_index_leads_to_every_page() -> None:
    linked = set(_LINK.findall((RUNBOOK / "README.md").read_text()))
    missing = {page.relative_to(RUNBOOK).as_posix() for page in RUNBOOK.rglob("*.md")} - linked - {"README.md"}
    assert not missing, f"docs/runbook/README.md links to no {', '.join(sorted(missing))}"


def test_no_link_leads_nowhere() -> None:
    for page in RUNBOOK.rglob("*.md"):
        for link in _LINK.findall(page.read_text()):
            if link.startswith("http"):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{page.name} links to {link}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", target.read_text(), flags=re.MULTILINE)
                assert anchor in {_anchor(each) for each in headings}, f"{page.name} links to {link}"

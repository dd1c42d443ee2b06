"""docs/runbook/: whoever is woken by a reason or an alert finds its page, and the page says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from syncrollout.api.crd import structural
from syncrollout.api.spec import MetricKind, SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Reason, Unknown
from syncrollout.cli.plugin import app
from syncrollout.monitoring.rules import NO_DATA_PAGE

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "runbook"
RULES = ROOT / "manifests" / "prometheus"
KINDS = tuple(f"metric-{kind.value}" for kind in MetricKind)
"""Pages that alerts on a rollout's metrics link to."""
OF_DIAGNOSE = ("clocks", "crd", "no-operator")
OF_CASES = ("api-server-pressure",)
"""Pages on what several reasons and alerts may come of."""
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
    assert pages == {*(reason.value for reason in Reason), *KINDS, *OF_DIAGNOSE, *OF_CASES, "unknown", "README"}


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


def test_every_field_that_is_looked_at_is_there() -> None:
    """A command that prints nothing at night is worse than none."""
    schemas = {"spec": structural(SyncRolloutSpec), "status": structural(SyncRolloutStatus)}
    looked_at = 0
    for page in RUNBOOK.rglob("*.md"):
        for line in re.findall(r"^kubectl .*syncrollout NAME -o jsonpath=.*$", page.read_text(), flags=re.MULTILINE):
            for path in re.findall(r"\{(?:range )?\.((?:spec|status)[\w.]*)", line):
                first, *rest = path.split(".")
                node = schemas[first]
                for part in rest:
                    node = node.get("items", node)
                    assert part in node.get("properties", {}), f"{page.name}: there is no {path}"
                    node = node["properties"][part]
                looked_at += 1
    assert looked_at > 20


def test_every_verb_of_the_plugin_that_is_named_is_one() -> None:
    verbs = {
        command.name or command.callback.__name__.replace("_", "-")
        for command in app.registered_commands
        if command.callback is not None
    }
    for page in RUNBOOK.rglob("*.md"):
        named = set(re.findall(r"kubectl syncrollout ([a-z][-a-z]*)", page.read_text()))
        assert named <= verbs, f"{page.name} names {', '.join(sorted(named - verbs))}"

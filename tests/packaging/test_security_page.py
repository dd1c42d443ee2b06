"""docs/security.md: each threat of its table names a test, and each test that is named is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def _rows() -> list[list[str]]:
    text = PAGE.read_text("utf-8").partition("\n## Threats\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_threat_says_what_stands_against_it_and_what_shows_it() -> None:
    rows = _rows()
    assert len(rows) > 10
    assert {len(row) for row in rows} == {3}
    untested = [row[0] for row in rows if not row[1] or not TEST.search(row[2])]
    assert untested == []


def test_each_test_that_is_named_is_there() -> None:
    missing = []
    for file, name in TEST.findall(PAGE.read_text("utf-8")):
        path = ROOT / file
        if not path.exists() or not re.search(rf"^(async )?def {name}\(", path.read_text("utf-8"), re.MULTILINE):
            missing.append(f"{file}::{name}")
    assert missing == []

"""Which advisories are of what is locked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from release.advisories import GO, PYPI, Part, Unreadable, hits, key, read

FILE = Path(__file__).parent / "advisories.json"


def found(*parts: Part) -> list[tuple[str, str]]:
    return [(hit.advisory, hit.fixed) for hit in hits(read(FILE), parts)]


@pytest.mark.parametrize(
    ("part", "advisories"),
    [
        (Part(PYPI, "jinja2", "3.1.5"), [("TEST-2026-0001", "3.1.6")]),
        (Part(PYPI, "jinja2", "3.1.6rc1"), [("TEST-2026-0001", "3.1.6")]),
        (Part(PYPI, "jinja2", "3.1.6"), []),
        (Part(PYPI, "some-thing", "0.9"), []),
        (Part(PYPI, "some-thing", "1.9"), [("TEST-2026-0002", "2.4.1")]),
        (Part(PYPI, "some-thing", "1.9.1"), []),
        (Part(PYPI, "some-thing", "2.4.0"), [("TEST-2026-0002", "2.4.1")]),
        (Part(PYPI, "some-thing", "2.10"), []),
        (Part(PYPI, "listed", "1.0"), [("TEST-2026-0003", "")]),
        (Part(PYPI, "listed", "1.2"), []),
        (Part(GO, "example.org/mod", "v0.29.9"), []),
        (Part(GO, "example.org/mod", "v0.37.0-rc.1"), [("TEST-2026-0005", "0.37.0-rc.2")]),
        (Part(GO, "example.org/mod", "v0.37.0"), []),
        (Part(PYPI, "example.org/mod", "0.31.0"), []),
    ],
)
def test_a_version_is_affected_from_where_it_begins_to_where_it_is_mended(
    part: Part, advisories: list[tuple[str, str]]
) -> None:
    assert found(part) == advisories


def test_it_is_said_with_what_mends_it() -> None:
    (hit,) = hits(read(FILE), [Part(PYPI, "jinja2", "3.0")])
    assert str(hit) == "jinja2 3.0: TEST-2026-0001: A template escapes from its sandbox; fixed in 3.1.6"


def test_a_zip_is_read_as_databases_are_handed_out(tmp_path: Path) -> None:
    packed = tmp_path / "all.zip"
    with zipfile.ZipFile(packed, "w") as opened:
        opened.write(FILE, "TEST-2026.json")
        opened.writestr("README", "not an advisory")
    assert [each["id"] for each in read(packed)] == [each["id"] for each in read(FILE)]


@pytest.mark.parametrize("text", ["no json", '{"summary": "without an id"}', '["x"]'])
def test_a_file_that_holds_no_advisories_is_no_clean_bill(tmp_path: Path, text: str) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(text)
    with pytest.raises(Unreadable, match="wrong"):
        list(read(wrong))


def test_versions_of_go_are_ordered_as_semver_has_it() -> None:
    ordered = [
        "0",
        "v0.0.0-20240101000000-abc",
        "v0.9.0",
        "v0.10.0-alpha.1",
        "v0.10.0-alpha.2",
        "v0.10.0-rc.1",
        "v0.10.0",
    ]
    mixed = ordered[::-1]
    assert sorted(mixed, key=lambda each: key(GO, each)) == ordered

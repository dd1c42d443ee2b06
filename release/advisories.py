"""Advisories in the format of OSV (https://ossf.github.io/osv-schema/), from files: a JSON file, or a zip of them as
databases are handed out. Which of them are of something that is locked."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from release.lock import normal

PYPI, GO = "PyPI", "Go"


@dataclass(frozen=True, slots=True)
class Part:
    """Something in one version: a Python distribution, or a Go module."""

    ecosystem: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Hit:
    """An advisory that is of it."""

    part: Part
    advisory: str
    summary: str
    fixed: str
    """The version that mends it; empty where none is said."""

    def __str__(self) -> str:
        mended = f"; fixed in {self.fixed}" if self.fixed else "; no version that mends it is said"
        return f"{self.part.name} {self.part.version}: {self.advisory}: {self.summary or 'no summary'}{mended}"


class Unreadable(ValueError):
    """A file holds no advisories; the message says what is wrong with it."""


def read(file: Path) -> Iterator[Mapping[str, Any]]:
    """The advisories of a file. Raises Unreadable, OSError."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as opened:
            for name in opened.namelist():
                if name.endswith(".json"):
                    yield from _parsed(opened.read(name), f"{file}: {name}")
        return
    yield from _parsed(file.read_bytes(), str(file))


def _parsed(text: bytes, where: str) -> Iterator[Mapping[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"{where} is no JSON: {error}") from error
    for each in found if isinstance(found, list) else [found]:
        if not isinstance(each, dict) or "id" not in each:
            raise Unreadable(f"{where} holds something that is no advisory: it has no id")
        yield each


def hits(advisories: Iterable[Mapping[str, Any]], parts: Iterable[Part]) -> list[Hit]:
    """Which of the parts have a vulnerability that an advisory tells of, withdrawn ones aside; each advisory once."""
    known: dict[tuple[str, str], list[Part]] = {}
    for part in parts:
        known.setdefault((part.ecosystem, _name(part.ecosystem, part.name)), []).append(part)
    found: dict[tuple[Part, str], Hit] = {}
    for advisory in advisories:
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected") or ():
            package = affected.get("package") or {}
            ecosystem = str(package.get("ecosystem", "")).partition(":")[0]
            for part in known.get((ecosystem, _name(ecosystem, str(package.get("name", "")))), ()):
                fixed = _affects(affected, part)
                if fixed is not None:
                    key = part, str(advisory["id"])
                    found[key] = Hit(part, key[1], str(advisory.get("summary") or ""), fixed)
    return sorted(found.values(), key=lambda hit: (hit.part.name, hit.advisory))


def _name(ecosystem: str, name: str) -> str:
    return normal(name) if ecosystem == PYPI else name


def _affects(affected: Mapping[str, Any], part: Part) -> str | None:
    """The version that mends it, empty where none is said; None where the part is not affected."""
    named = part.version in (affected.get("versions") or ())
    for span in affected.get("ranges") or ():
        if span.get("type") not in ("ECOSYSTEM", "SEMVER"):
            continue  # of commits
        fixed = _inside(span.get("events") or (), part)
        if fixed is not None:
            return fixed
    return "" if named else None


def _inside(events: Iterable[Mapping[str, str]], part: Part) -> str | None:
    """The events in the order of versions; the last one at or before the part's version says whether it is affected."""
    own = key(part.ecosystem, part.version)
    marks = sorted(
        ((key(part.ecosystem, str(value)), what, str(value)) for event in events for what, value in event.items()),
        key=lambda mark: (mark[0], mark[1] != "introduced"),
    )
    affected = False
    for at, what, _ in marks:
        if what == "introduced" and at <= own:
            affected = True
        elif (what == "fixed" and at <= own) or (what == "last_affected" and at < own):
            affected = False
    if not affected:
        return None
    return next((value for at, what, value in marks if what == "fixed" and at > own), "")


_SEMVER: Final = re.compile(r"^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?")


def key(ecosystem: str, version: str) -> tuple[Any, ...]:
    """By which versions of an ecosystem are ordered. What is no version comes first of all, as OSV's `0` does."""
    if ecosystem == PYPI:
        try:
            return (1, Version(version))
        except InvalidVersion:
            return (0,)
    found = _SEMVER.match(version)
    if found is None or version == "0":
        return (0,)
    numbers = tuple(int(each or 0) for each in found.groups()[:3])
    if not found[4]:
        return (1, numbers, 1)
    early = tuple((0, int(each), "") if each.isdigit() else (1, 0, each) for each in found[4].split("."))
    return (1, numbers, 0, early)


__all__ = ["GO", "PYPI", "Hit", "Part", "Unreadable", "hits", "key", "read"]

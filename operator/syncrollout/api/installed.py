"""The CRD that a cluster has, held against the one of this program.

What is compared is what the API server publishes of it under /openapi/v3, which everybody who may use the cluster may
read (the ClusterRole system:discovery): no right on CustomResourceDefinitions is needed for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final

from syncrollout.api.compatibility import How, Lack, Schema, first_of, lacks, rules_differ
from syncrollout.api.crd import build
from syncrollout.api.words import API_VERSION, GROUP, KIND, VERSION

INDEX: Final = "/openapi/v3"
_DOCUMENT: Final = f"apis/{API_VERSION}"
_SCHEMA: Final = f"{'.'.join(reversed(GROUP.split('.')))}.{VERSION}.{KIND}"
_COMPARED: Final = ("spec", "status")
UPGRADE: Final = (
    "Apply the CRD of this release: kubectl apply --server-side -f crds/ (the chart brings its own, with crds.install)."
)


class Match(StrEnum):
    """How the CRD of the cluster stands to this program."""

    SAME = "same"
    RULES = "rules"
    """Every field is there; the rules that refuse a wrong spec are others."""
    NEWER = "newer"
    """Everything that this program knows is there, and more."""
    OLDER = "older"
    """Something that this program may write would be lost or refused."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What came of the comparison."""

    match: Match
    lacks: tuple[Lack, ...] = field(default=())
    """What the CRD of the cluster would lose or refuse of this program's."""
    unknown: tuple[Lack, ...] = field(default=())
    """What this program does not know of the CRD of the cluster."""

    @property
    def words(self) -> str:
        """One sentence for a person, with what to do; empty where there is nothing to say."""
        if self.match is Match.OLDER:
            lost = sum(each.how is How.LOST for each in self.lacks)
            counts = ((lost, "drops", "field"), (len(self.lacks) - lost, "refuses", "value"))
            said = " and ".join(f"{does} {count} {what}{'s' * (count > 1)}" for count, does, what in counts if count)
            return (
                f"the CRD of this cluster is older than this program: it {said} that this program may write "
                f"({first_of(self.lacks)}). {UPGRADE}"
            )
        if self.match is Match.NEWER:
            return (
                f"the CRD of this cluster is newer than this program: what it has more of "
                f"({first_of(self.unknown)}) is not heeded. Upgrade this program to that release."
            )
        if self.match is Match.RULES:
            return f"the CRD of this cluster has other rules for what a spec may say than this program. {UPGRADE}"
        return ""


@cache
def own() -> Schema:
    """The schema of the version that this program works through."""
    versions: list[dict[str, Any]] = build()["spec"]["versions"]
    (schema,) = (each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == VERSION)
    return dict(schema)


def document_path(index: Mapping[str, Any]) -> str | None:
    """Where the index of /openapi/v3 says that the schemas of our version stand; None where it is not served. The path
    holds a digest, and so tells whether anything has changed."""
    entry = (index.get("paths") or {}).get(_DOCUMENT)
    return str(entry["serverRelativeURL"]) if entry else None


def compare(document: Mapping[str, Any]) -> Installed:
    """The document of `document_path`, held against `own`. Raises KeyError where it is no such document."""
    there = document["components"]["schemas"][_SCHEMA]
    mine = own()
    missing = _of_both(mine, there)
    if missing:
        return Installed(Match.OLDER, missing, _of_both(there, mine))
    unknown = _of_both(there, mine)
    if unknown:
        return Installed(Match.NEWER, (), unknown)
    differ = any(rules_differ(mine["properties"][each], there["properties"][each]) for each in _COMPARED)
    return Installed(Match.RULES if differ else Match.SAME)


def _of_both(wanted: Schema, there: Schema) -> tuple[Lack, ...]:
    return tuple(
        lack
        for each in _COMPARED
        for lack in lacks(wanted["properties"][each], there["properties"].get(each) or {"type": "object"}, each)
    )


__all__ = ["INDEX", "Installed", "Match", "compare", "document_path", "own"]

"""docs/reference.md: every field of the resource, as the CRD has it, and no link that leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from syncrollout.api import crd
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Reason
from syncrollout.cli import reference_page

PAGE = reference_page.markdown()


def objects(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object with fields of its own, by its path."""
    if "properties" in schema:
        yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from objects(inner, f"{path}.{name}")
    if "items" in schema:
        yield from objects(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from objects(schema["additionalProperties"], f"{path}.*")


def section(place: str) -> str:
    """The section of the model that stands there."""
    sections = re.split(r"^#{2,3} ", PAGE, flags=re.MULTILINE)
    [found] = [each for each in sections if f"`{place}`" in each.split("|")[0] and "| field |" in each]
    return found


def test_every_field_has_a_row_in_the_section_of_its_object() -> None:
    properties = crd.build()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    trees = {
        "spec": reference_page.Tree(SyncRolloutSpec, "spec", defaults=True),
        "status": reference_page.Tree(SyncRolloutStatus, "status", defaults=False),
    }
    looked_at = 0
    for root, tree in trees.items():
        first = {place: part.places[0] for part in [tree.root, *tree.parts.values()] for place in part.places}
        for path, schema in objects(properties[root], root):
            rows = re.findall(r"^\| `(\w+)` \| ", section(first[path]), flags=re.MULTILINE)
            assert rows == list(schema["properties"]), path
            looked_at += 1
    assert looked_at > 40


def test_a_row_says_kind_bounds_default_and_whether_it_is_required() -> None:
    phase = section("spec.phases[]")
    assert "| `name` | [name](#values) | *required* |" in phase
    assert "| `weight` | whole number from 0 to 100 | *required* |" in phase
    assert "| `mode` | `Live` \\| `Shadow` | `Live` |" in phase
    assert "| `success` | list of [Criterion](#criterion), at most 16 |" in phase
    assert "| `clearFor` | [duration](#values) | `5m` |" in section("spec.rollback.high")


def test_what_the_api_server_refuses_is_said_with_its_sentence() -> None:
    assert "- give Prometheus either bearerToken or basicAuth, not both" in section("spec.prometheus")


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^#{1,3} (.+)$", PAGE, flags=re.MULTILINE)}
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert links - headings == set()


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_told(reason: Reason) -> None:
    assert f"\n| `{reason.value}` | " in PAGE

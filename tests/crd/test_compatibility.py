"""What one schema loses or refuses of what another takes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from syncrollout.api.compatibility import How, Lack, first_of, lacks, rules_differ
from syncrollout.api.installed import Match, compare, document_path, own

Obj = dict[str, Any]

BEFORE: Obj = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 63, "minLength": 1},
        "state": {"type": "string", "enum": ["A", "B"]},
        "share": {"type": "number", "minimum": 0, "maximum": 100},
        "items": {
            "type": "array",
            "maxItems": 5,
            "items": {"type": "object", "properties": {"id": {"type": "string"}}},
        },
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


def changed(path: str, **fields: Any) -> Obj:
    """BEFORE with something else at `properties.<path>`; None takes a key away."""
    made = copy.deepcopy(BEFORE)
    node = made["properties"]
    *above, last = path.split("/")
    for part in above:
        node = node[part]
    node[last] = {key: value for key, value in (node.get(last, {}) | fields).items() if value is not None}
    return made


def said(wanted: Obj, there: Obj) -> list[str]:
    return [f"{lack.how.value}: {lack}" for lack in lacks(wanted, there, "spec")]


def test_a_schema_lacks_nothing_of_itself_whatever_it_says_about_it() -> None:
    assert lacks(BEFORE, changed("name", description="other words", default="x")) == ()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (changed("more", type="string"), "lost: spec.more is not known"),
        (changed("items/items/properties/more", type="string"), "lost: spec.items[].more is not known"),
        (changed("name", maxLength=64), "refused: spec.name has maxLength 63"),
        (changed("name", minLength=0), "refused: spec.name has minLength 1"),
        (changed("share", maximum=None), "refused: spec.share has maximum 100"),
        (changed("state", enum=["A", "B", "C"]), "refused: spec.state may not be C"),
        (changed("state", enum=None), "refused: spec.state may only be A, B"),
        (changed("share", type="string"), "refused: spec.share is of type string and not number"),
        (BEFORE | {"required": []}, "refused: spec.name may not be left out"),
    ],
)
def test_what_is_wider_is_lost_or_refused_and_the_other_way_round_nothing_is(wanted: Obj, words: str) -> None:
    assert said(wanted, BEFORE) == [words]
    if "type string and not" not in words:
        assert lacks(BEFORE, wanted) == ()


def test_exclusive_bounds_are_narrower_than_inclusive_ones() -> None:
    exclusive = changed("share", exclusiveMaximum=True)
    assert said(BEFORE, exclusive) == ["refused: spec.share has maximum 100"]
    assert said(exclusive, BEFORE) == []


def test_what_keeps_everything_loses_nothing() -> None:
    is_open = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    assert lacks(BEFORE, is_open) == ()
    assert said(is_open, BEFORE)[0] == "lost: spec keeps the fields alone that it knows"


def test_rules_are_compared_by_their_text_and_place() -> None:
    ruled = changed("name", **{"x-kubernetes-validations": [{"rule": "self != 'x'", "message": "not x"}]})
    reworded = changed("name", **{"x-kubernetes-validations": [{"rule": "self != 'x'", "message": "never x"}]})
    assert rules_differ(ruled, BEFORE)
    assert not rules_differ(ruled, reworded)


def test_many_are_said_in_one_breath() -> None:
    several = tuple(Lack(f"spec.f{n}", How.LOST, "is not known") for n in range(5))
    assert first_of(several, 2) == "spec.f0 is not known, spec.f1 is not known and 3 more"


# ---- the CRD of a cluster


def published(schema: Any) -> Obj:
    return {"components": {"schemas": {"io.syncrollout.v1alpha1.SyncRollout": schema}}}


def test_the_own_schema_is_the_same() -> None:
    found = compare(published(own()))
    assert (found.match, found.words) == (Match.SAME, "")


def test_an_older_one_is_named_by_what_it_drops_and_refuses() -> None:
    there = copy.deepcopy(dict(own()))
    del there["properties"]["status"]["properties"]["pastPhases"]
    state = there["properties"]["status"]["properties"]["state"]
    state["enum"] = [each for each in state["enum"] if each != "AwaitingApproval"]
    found = compare(published(there))
    assert found.match is Match.OLDER
    assert "it drops 1 field and refuses 1 value that" in found.words
    assert "status.state may not be AwaitingApproval" in found.words
    assert "kubectl apply --server-side -f crds/" in found.words


def test_a_newer_one_and_other_rules_are_told_apart() -> None:
    newer = copy.deepcopy(dict(own()))
    newer["properties"]["spec"]["properties"]["later"] = {"type": "string"}
    found = compare(published(newer))
    assert found.match is Match.NEWER
    assert "spec.later is not known" in found.words
    ruled = copy.deepcopy(dict(own()))
    ruled["properties"]["spec"]["x-kubernetes-validations"] = []
    assert compare(published(ruled)).match is Match.RULES


def test_a_cluster_without_the_crd_publishes_nothing_of_it() -> None:
    assert document_path({"paths": {"apis/apps/v1": {"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=1"}}}) is None

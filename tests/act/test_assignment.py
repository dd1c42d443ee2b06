"""The assignment of slots as a ConfigMap: what is written can be read, and what could be misread is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from act.jsonpatch import TestFailed, apply
from syncrollout.act import assignment
from syncrollout.act.assignment import DATA_KEY, Migration
from syncrollout.api.words import KIND, Reason
from syncrollout.decide.facts import Assignment, Problem

MOVE = Migration("move", "Deployment/v1", "Deployment/v2")
GOOD = {"protocol": 1, "epoch": 7, "newBelow": 100, "oldFrom": 150, "mode": "live", "stop": False}


def config_map(value: object, **metadata: Any) -> dict[str, Any]:
    """As the API server shows it; `value` as JSON, unless it is text already."""
    made = assignment.create(Assignment(1, 0, 0), MOVE)
    data = {} if value is None else {DATA_KEY: value if isinstance(value, str) else json.dumps(value)}
    own = {"name": "slots", "namespace": "shop", "uid": "abc"}
    return {**made, "metadata": {**made["metadata"], **own, **metadata}, "data": data}


def problem(obj: dict[str, Any]) -> Problem:
    found = assignment.read(obj, MOVE)
    assert isinstance(found, Problem), found
    return found


assignments = st.builds(
    lambda epoch, marks, shadow, stop: Assignment(epoch, min(marks), max(marks), shadow, stop),
    st.integers(1, 10**9),
    st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
    st.booleans(),
    st.booleans(),
)


@given(assignments)
def test_what_is_written_is_read_the_same(wanted: Assignment) -> None:
    made = assignment.create(wanted, MOVE)
    assert assignment.read(config_map(made["data"][DATA_KEY]), MOVE) == wanted


def test_the_value_is_what_the_protocol_says_to_the_byte() -> None:
    assert (
        assignment.text(Assignment(7, 100, 150))
        == '{"protocol":1,"epoch":7,"newBelow":100,"oldFrom":150,"mode":"live","stop":false}'
    )
    assert '"mode":"shadow","stop":true}' in assignment.text(Assignment(1, 0, 0, shadow=True, stop=True))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "is missing"),
        ("", "is not JSON"),
        ('{"protocol":1', "is not JSON"),
        ('{"protocol":1,"epoch":1,"epoch":2}', "has epoch twice"),
        ("[1]", "is not a JSON object"),
        ({**GOOD, "protocol": 2}, "speaks protocol 2, and this operator knows 1 only"),
        ({**GOOD, "protocol": True}, "speaks protocol True"),
        ({"epoch": 1}, "speaks protocol None"),
        ({**GOOD, "epoch": "7"}, 'has epoch "7", and it should be a whole number'),
        ({**GOOD, "epoch": 7.0}, "has epoch 7.0"),
        ({**GOOD, "epoch": True}, "has epoch true"),
        ({**GOOD, "epoch": 0}, "has epoch 0, and epochs are 1 to 2^53"),
        ({**GOOD, "epoch": 2**53 + 1}, "epochs are 1 to 2^53"),
        ({**GOOD, "newBelow": None}, "has newBelow null"),
        ({**GOOD, "newBelow": 200}, "has newBelow 200 and oldFrom 150"),
        ({**GOOD, "newBelow": -1}, "has newBelow -1"),
        ({**GOOD, "oldFrom": 1001}, "oldFrom 1001"),
        ({**GOOD, "mode": "dead"}, 'has mode "dead", and it should be "live" or "shadow"'),
        ({**GOOD, "stop": 0}, "has stop 0, and it should be true or false"),
        ({name: value for name, value in GOOD.items() if name != "stop"}, "has no stop"),
    ],
)
def test_what_could_be_misread_is_told_and_not_guessed(value: object, says: str) -> None:
    found = problem(config_map(value))
    assert found.reason is Reason.ASSIGNMENT_INVALID
    assert f"ConfigMap shop/slots: {DATA_KEY} " in found.message
    assert says in found.message
    assert "delete the ConfigMap" in found.message


def test_a_field_that_is_not_known_is_left_alone() -> None:
    assert assignment.read(config_map({**GOOD, "more": 1}), MOVE) == Assignment(7, 100, 150)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"annotations": None}, "belongs to nobody"),
        ({"annotations": {"team": "sync"}}, "belongs to nobody"),
        ({"annotations": replace(MOVE, rollout="other").annotations}, f"belongs to {KIND} other"),
        ({"ownerReferences": [{"kind": "Deployment", "name": "web", "controller": True}]}, "belongs to Deployment web"),
    ],
)
@pytest.mark.parametrize("value", [GOOD, "nonsense"])
def test_what_somebody_else_owns_is_left_alone(value: object, metadata: dict[str, Any], says: str) -> None:
    found = problem(config_map(value, **metadata))
    assert found.reason is Reason.CONFIG_MAP_TAKEN
    assert says in found.message
    assert "spec.traffic.shards.configMap" in found.message


ALL_NEW = {**GOOD, "newBelow": 1000, "oldFrom": 1000}
ALL_OLD = {**GOOD, "newBelow": 0, "oldFrom": 0, "stop": True}
NEXT = Migration("move", "Deployment/v2", "Deployment/v3")
"""What comes after v2 has taken over: to it the same words mean other systems."""


OTHER_NEW = replace(MOVE, new="Deployment/v2b")
"""Another try, of which the workers of the first may still run: what is granted to new would be taken by both."""


@pytest.mark.parametrize("value", [ALL_NEW, ALL_OLD, GOOD, "nonsense"])
@pytest.mark.parametrize("other", [NEXT, OTHER_NEW])
def test_what_an_earlier_migration_has_left_is_not_read_as_one_of_other_systems(
    value: object, other: Migration
) -> None:
    found = assignment.read(config_map(value), other)
    assert isinstance(found, Problem), found
    assert found.reason is Reason.CONFIG_MAP_TAKEN
    assert "between Deployment/v1 (old) and Deployment/v2 (new), and this SyncRollout moves" in found.message


def test_one_that_does_not_say_between_whom_it_divides_is_not_guessed_at() -> None:
    found = problem(config_map(ALL_OLD, annotations={"syncrollout.io/rollout": "move"}))
    assert found.reason is Reason.CONFIG_MAP_TAKEN
    assert "between nobody (old) and nobody (new)" in found.message


def test_the_label_is_a_label_however_long_the_name() -> None:
    long = replace(MOVE, rollout="x" * 62 + ".y")
    [label] = assignment.create(Assignment(1, 0, 0), long)["metadata"]["labels"].values()
    assert label == "x" * 62


@pytest.mark.parametrize("labels", [None, {}, {"team": "sync"}, {"syncrollout.io/shards": "move"}])
def test_a_patch_changes_the_value_and_sees_to_the_label(labels: dict[str, str] | None) -> None:
    obj = config_map(GOOD, labels=labels)
    if labels is None:
        del obj["metadata"]["labels"]
    wanted = Assignment(8, 150, 150)
    patched = apply(obj, assignment.patch(obj, wanted, MOVE))
    assert assignment.read(patched, MOVE) == wanted
    assert patched["metadata"]["labels"] == {**(labels or {}), "syncrollout.io/shards": "move"}


@pytest.mark.parametrize("what", ["uid", "value"])
def test_a_patch_holds_on_to_the_object_and_to_what_it_held(what: str) -> None:
    obj = config_map(GOOD)
    operations = assignment.patch(obj, Assignment(8, 150, 150), MOVE)
    other = config_map(GOOD, uid="def") if what == "uid" else config_map({**GOOD, "stop": True})
    with pytest.raises(TestFailed):
        apply(other, operations)

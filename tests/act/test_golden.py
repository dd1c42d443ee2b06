"""Every router of the table, by its golden files: what is read, what is written, and that nothing else is."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from act.golden import Golden, leaves, load, same
from act.jsonpatch import TestFailed, apply
from syncrollout.act.routers import ROUTERS
from syncrollout.act.weights import patch, read
from syncrollout.decide.facts import Problem, RouteFact

GOLDEN = load()
EVERY = pytest.mark.parametrize("golden", GOLDEN, ids=str)


def made(obj: dict[str, Any], uid: str = "u-1") -> dict[str, Any]:
    """The object as an API server has it."""
    return {**obj, "metadata": {**obj["metadata"], "uid": uid}}


def operations(golden: Golden, obj: dict[str, Any], weight: int, *, fenced: bool = False) -> list[dict[str, Any]]:
    found = patch(golden.route, obj, golden.old, golden.new, weight=weight, fenced=fenced)
    assert not isinstance(found, Problem), found
    return found


def fact(golden: Golden, obj: dict[str, Any], aim: int | None = None) -> RouteFact:
    found = read(golden.route, obj, golden.old, golden.new, aim=aim)
    assert isinstance(found, RouteFact), found
    return found


def test_every_router_has_a_golden_file() -> None:
    assert {router.slug for router in ROUTERS} | {"weightat"} == {golden.router for golden in GOLDEN}
    assert len({router.slug for router in ROUTERS}) == len(ROUTERS)


@EVERY
def test_only_the_weights_of_an_object_change(golden: Golden) -> None:
    before = made(golden.before)
    standing = fact(golden, before)
    assert {"share": standing.share, "exact": standing.exact} == golden.reads, golden.says

    found = operations(golden, before, golden.weight)
    assert [one["path"] for one in found if one["op"] == "add"] == golden.writes
    assert {one["op"] for one in found} == {"test", "add"}
    assert same(apply(before, found), made(golden.after)), golden.says


@EVERY
@pytest.mark.parametrize("weight", [0, 1, 50, 99, 100, None])
def test_what_is_written_reads_back_and_is_written_once(golden: Golden, weight: int | None) -> None:
    """`None` is the golden file's own weight."""
    aim = golden.weight if weight is None else weight
    before = made(golden.before)
    after = apply(before, operations(golden, before, aim))
    assert fact(golden, after, aim).exact == aim
    assert operations(golden, after, aim) == []
    if aim in (0, 100):
        assert fact(golden, after).share == aim
    was, now = leaves(before), leaves(after)
    changed = {place for place in was.keys() | now.keys() if was.get(place) != now.get(place)}
    assert changed <= {one["path"] for one in operations(golden, before, aim) if one["op"] == "add"}
    for place in changed & was.keys():
        # in a text that holds more than the number, digits and what is added for them alone
        if isinstance(was[place], str) and not re.fullmatch("[0-9.mk]+", was[place]):
            assert _frame(now[place]) == _frame(was[place])
            json.loads(now[place])


def _frame(text: str) -> str:
    """A text without its weights."""
    return re.sub(r'(,\s*"[Ww]eight":\s*\d+)|((?<=":)\s*\d+(?=[,}\s]))', "", text)


@EVERY
def test_an_object_that_was_made_anew_is_not_written_to(golden: Golden) -> None:
    found = operations(golden, made(golden.before), golden.weight)
    with pytest.raises(TestFailed, match="/metadata/uid"):
        apply(made(golden.before, "u-2"), found)


@EVERY
def test_an_entry_that_is_another_one_meanwhile_is_not_written_to(golden: Golden) -> None:
    """What the object is recognised by is held on to: with any of it changed the patch is refused."""
    before = made(golden.before)
    found = operations(golden, before, golden.weight)
    relied_on = [one["path"] for one in found if one["op"] == "test" and one["path"] != "/metadata/uid"]
    if golden.route.weight_at is None:
        assert relied_on
    for place in relied_on:
        meanwhile = copy.deepcopy(before)
        *parents, last = [token.replace("~1", "/").replace("~0", "~") for token in place[1:].split("/")]
        node: Any = meanwhile
        for token in parents:
            node = node[int(token)] if isinstance(node, list) else node[token]
        node[last] = "another"
        with pytest.raises(TestFailed, match=re.escape(place)):
            apply(meanwhile, found)


@EVERY
def test_a_step_that_was_held_up_does_not_undo_what_was_done_meanwhile(golden: Golden) -> None:
    """A process sends it, the network keeps it, and another process goes back; then it arrives."""
    first = operations(golden, made(golden.before), 50, fenced=True)
    at_half = apply(made(golden.before), json.loads(json.dumps(first)))
    late = operations(golden, at_half, 100, fenced=True)
    assert fact(golden, apply(at_half, late)).share == 100
    back = apply(at_half, operations(golden, at_half, 0))
    with pytest.raises(TestFailed):
        apply(back, late)

"""The simulation is worth what it finds: each of these bugs, put into the operator on purpose, some seed finds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest

from simulation.scenario import simulate
from simulation.seeds import scenario
from syncrollout.act import record, weights
from syncrollout.api.status import HistoryEntry
from syncrollout.decide import approvals, going_back, going_forward, machine
from syncrollout.decide.actions import Decision, RemoveFinalizer
from syncrollout.decide.outcome import unchanged
from syncrollout.decide.view import View
from syncrollout.observe import workloads
from syncrollout.ports import Object, ObjectRef
from syncrollout.runtime import recorder, story
from syncrollout.runtime.reconciler import Reconciler
from syncrollout.runtime.rollouts import Rollout, Rollouts

SEEDS = range(200)
Patch = pytest.MonkeyPatch


def traffic_before_its_record(patch: Patch) -> None:
    async def carry_out(self: Any, rollout: Rollout, decision: Decision) -> bool:
        await self._act(rollout, decision)
        await self._recorder.record(rollout, decision)
        return bool(decision.actions)

    patch.setattr(Reconciler, "_carry_out", carry_out)


def pods_are_not_looked_at(patch: Patch) -> None:
    def read(obj: Object) -> Any:
        fact = usual(obj)
        return type(fact)(desired=fact.desired, ready=fact.desired, scalable=fact.scalable)

    usual = workloads.read
    patch.setattr(workloads, "read", read)


def status_without_precondition(patch: Patch) -> None:
    patch.setattr(recorder, "status_patch", lambda *args: {"status": record.status_patch(*args)["status"]})


def events_named_at_random(patch: Patch) -> None:
    count = itertools.count()

    def event(ref: ObjectRef, uid: str, entry: HistoryEntry) -> tuple[ObjectRef, Object]:
        named, body = record.event(ref, uid, entry)
        name = f"{named.name}.{next(count)}"
        return ObjectRef(named.kind, named.namespace, name), {**body, "metadata": {**body["metadata"], "name": name}}

    patch.setattr(story, "event", event)


def nobody_holds_a_route(patch: Patch) -> None:
    patch.setattr(Rollouts, "taken", lambda *_: ())


def nobody_has_to_approve(patch: Patch) -> None:
    patch.setattr(approvals, "required", lambda *_: False)


def a_hold_holds_nothing(patch: Patch) -> None:
    patch.setattr(View, "suspended", property(lambda view: view.spec.suspend))


def no_patience(patch: Patch) -> None:
    patch.setattr(Reconciler, "_backoff", lambda *_: 0.02)


def more_than_weights_is_written(patch: Patch) -> None:
    usual = weights.patch

    def with_label(*args: Any, **more: Any) -> Any:
        operations = usual(*args, **more)
        label = {"op": "add", "path": "/metadata/annotations", "value": {"moved-by": "syncrollout"}}
        return [*operations, label] if operations and isinstance(operations, list) else operations

    patch.setattr(weights, "patch", with_label)


def new_is_left_alone_when_it_dies(patch: Patch) -> None:
    patch.setattr(machine, "RULES", tuple(rule for rule in machine.RULES if rule is not going_back.new_died))


def a_finalizer_that_comes_too_late(patch: Patch) -> None:
    def start(v: View) -> Any:
        return None if v.status.in_flight else going_forward._enter(v, 0)

    rules = (start if rule is going_forward.start else rule for rule in machine.RULES)
    patch.setattr(machine, "RULES", tuple(rules))


def deletion_lets_go_at_once(patch: Patch) -> None:
    def deleted(v: View) -> Any:
        return unchanged(v, actions=(RemoveFinalizer(),), silent=True) if v.facts.deleting else None

    rules = (deleted if rule is going_back.deleted else rule for rule in machine.RULES)
    patch.setattr(machine, "RULES", tuple(rules))


# What finds it, and the seed that found it lately: tried first, for looking anew through all of them takes minutes.
MUTANTS: tuple[tuple[Callable[[Patch], None], str, int], ...] = (
    (traffic_before_its_record, "recorded are", 0),
    (pods_are_not_looked_at, "ready pod", 59),
    (status_without_precondition, "no resourceVersion", 0),
    (events_named_at_random, "told twice", 1),
    (nobody_holds_a_route, "at once", 0),
    (nobody_has_to_approve, "without an approval", 4),
    (a_hold_holds_nothing, "while somebody holds it", 32),
    (no_patience, "within a minute", 53),
    (more_than_weights_is_written, "something else was changed", 0),
    (new_is_left_alone_when_it_dies, "no pods for", 72),
    (a_finalizer_that_comes_too_late, "without our finalizer", 116),
    (deletion_lets_go_at_once, "gone, and|waiting, and|TrafficAlreadyAtNew", 27),
)


@pytest.mark.parametrize(("mutate", "says", "lately"), MUTANTS, ids=[mutate.__name__ for mutate, _, _ in MUTANTS])
def test_it_is_found(mutate: Callable[[Patch], None], says: str, lately: int, monkeypatch: Patch) -> None:
    mutate(monkeypatch)
    for seed in (lately, *SEEDS):
        failure = simulate(scenario(seed)).failure
        if failure:
            print(f"{mutate.__name__}: seed {seed}: {failure[:150]}")
            assert re.search(says, failure), f"seed {seed} finds something else: {failure}"
            return
    pytest.fail(f"not found by {len(SEEDS)} seeds")

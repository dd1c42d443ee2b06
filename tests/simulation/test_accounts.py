"""Rollouts that are carried out as an account, with the real parts of the operator around them."""

from __future__ import annotations

from fakes.kube import Call
from simulation.objects import NAMESPACE
from simulation.plain import succeeded, world
from simulation.scenario import Scenario, simulate
from simulation.stage import Stage, staged
from simulation.test_crashes import crash_at, milestones
from syncrollout.api.words import KIND
from syncrollout.ports import Behalf, KindRef, Object

MOVER = Behalf(NAMESPACE, "mover")
ROUTE = KindRef("gateway.networking.k8s.io/v1", "HTTPRoute")
ACCOUNT: Object = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": MOVER.account, "namespace": NAMESPACE},
}


def _effects(calls: list[Call]) -> list[Call]:
    """What the operator has changed of what is not its own."""
    writes = [call for call in calls if call.by == "operator" and call.applied]
    return [call for call in writes if call.ref.kind.kind not in (KIND, "Event", "Lease")]


async def _begun(stage: Stage) -> None:
    stage.body["spec"]["serviceAccountName"] = MOVER.account
    stage.world.kube.put(ACCOUNT)
    await stage.begin()


def test_whatever_is_changed_for_a_rollout_is_changed_as_its_account() -> None:
    async def story(stage: Stage) -> None:
        await _begun(stage)
        await stage.reach("Completed")
        effects = _effects(stage.world.kube.log)
        assert {call.ref.kind.kind for call in effects} >= {"HTTPRoute", "Deployment"}
        assert {call.behalf for call in effects} == {MOVER}

    staged(story, seconds=2)


def test_nothing_begins_before_the_account_has_its_rights() -> None:
    async def story(stage: Stage) -> None:
        stage.world.kube.forbid("patch", ROUTE, MOVER.account)
        await _begun(stage)
        await stage.when(lambda: stage.status.get("reason") == "Forbidden")
        assert stage.state == "Preflight"
        assert "ServiceAccount" in stage.status["message"]
        stage.world.kube.allow("patch", ROUTE, MOVER.account)
        await stage.reach("Progressing", within=60.0)
        assert stage.world.kube.log

    staged(story, seconds=60)


def test_rights_that_are_lost_on_the_way_hold_up_a_rollback_only_until_they_are_back() -> None:
    async def story(stage: Stage) -> None:
        await _begun(stage)
        await stage.reach("Progressing", phase="medium-traffic")
        await stage.when(lambda: stage.status["phase"].get("since") is not None)
        stage.world.kube.forbid("patch", ROUTE, MOVER.account)
        stage.world.source.bad[stage.plan.new] = lambda: True
        await stage.when(lambda: stage.state == "RollingBack" and stage.status["reason"] == "Forbidden")
        assert stage.share > 0.0
        stage.world.kube.allow("patch", ROUTE, MOVER.account)
        await stage.reach("RolledBack", within=20.0)
        assert {call.behalf for call in _effects(stage.world.kube.log)} == {MOVER}

    staged(story, seconds=30)


def _as_account() -> Scenario:
    scenario = world(seconds=3, breach="medium-traffic", one=True)
    for _, body in scenario.rollouts:
        body["spec"]["serviceAccountName"] = MOVER.account
    scenario.objects.append(ACCOUNT)
    return scenario


def test_a_crash_at_any_write_of_a_run_as_an_account_changes_neither_its_end_nor_its_story() -> None:
    reference = succeeded(simulate(_as_account()))
    for call, what in enumerate(reference.writes, start=1):
        if what.split()[0] in {"list", "watch", "get"}:
            continue
        report = crash_at(_as_account, call, after=bool(call % 2), restart=0.05)
        assert report.ends == reference.ends
        assert milestones(report) == milestones(reference), f"call {call} ({what})"

"""The account that a rollout is carried out as, before a run begins."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes.kube import FakeKube
from syncrollout.act.target import Target
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND, Reason
from syncrollout.observe.accounts import BAD_FOR, GOOD_FOR, Accounts
from syncrollout.ports import KindRef, ObjectRef

pytestmark = pytest.mark.looptime
ROUTE = KindRef("gateway.networking.k8s.io/v1", "HTTPRoute")
DEPLOYMENT = KindRef("apps/v1", "Deployment")
SERVICE_ACCOUNT = KindRef("v1", "ServiceAccount")
OWN = ObjectRef(KindRef(API_VERSION, KIND), "shop", "move")


def target(**spec: Any) -> Target:
    given: dict[str, Any] = {
        "serviceAccountName": "mover",
        "old": {"workload": {"kind": "Deployment", "name": "old"}, "service": "old"},
        "new": {"workload": {"kind": "Deployment", "name": "new"}, "service": "new"},
        "traffic": {"routes": [{"apiVersion": ROUTE.api_version, "kind": ROUTE.kind, "name": "web"}]},
        "phases": [{"name": "all", "weight": 100}],
        **spec,
    }
    return Target(OWN, SyncRolloutSpec.model_validate(given), "1", ())


@pytest.fixture
async def kube() -> FakeKube:
    kube = FakeKube()
    kube.put({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "mover", "namespace": "shop"}})
    return kube


async def test_one_that_may_do_everything_is_no_problem_and_asked_about_seldom(kube: FakeKube) -> None:
    accounts = Accounts(kube)
    assert await accounts.problem(target()) is None
    asked = len(kube.log)
    assert await accounts.problem(target()) is None
    assert len(kube.log) == asked
    await asyncio.sleep(GOOD_FOR)
    kube.forbid("patch", ROUTE, "mover")
    assert await accounts.problem(target()) is not None


async def test_an_account_that_is_not_there_is_named_and_picked_up_once_it_is(kube: FakeKube) -> None:
    accounts, asked = Accounts(kube), target(serviceAccountName="gone")
    problem = await accounts.problem(asked)
    assert problem is not None
    assert problem.reason is Reason.SERVICE_ACCOUNT_NOT_FOUND
    assert problem.message.startswith("ServiceAccount shop/gone, which spec.serviceAccountName names, does not exist")
    assert "kubectl -n shop create serviceaccount gone" in problem.message
    kube.put({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gone", "namespace": "shop"}})
    await asyncio.sleep(BAD_FOR)
    assert await accounts.problem(asked) is None


async def test_all_that_is_missing_is_told_at_once(kube: FakeKube) -> None:
    kube.forbid("patch", ROUTE, "mover")
    kube.forbid("get", DEPLOYMENT, "mover")
    problem = await Accounts(kube).problem(target())
    assert problem is not None
    assert problem.reason is Reason.FORBIDDEN
    assert 'ServiceAccount shop/mover lacks the right to "patch" resource "HTTPRoute"' in problem.message
    assert problem.message.endswith("; it also lacks: get Deployment old, get Deployment new")


async def test_what_the_spec_asks_for_now_counts_at_once(kube: FakeKube) -> None:
    accounts = Accounts(kube)
    assert await accounts.problem(target()) is None
    kube.forbid("get", KindRef("v1", "Secret"), "mover")
    secret = {"address": "http://prometheus", "bearerToken": {"name": "a", "key": "b"}}
    assert await accounts.problem(target(prometheus=secret)) is not None


async def test_none_is_asked_for_unless_the_operator_wants_one(kube: FakeKube) -> None:
    nameless = target(serviceAccountName=None)
    assert await Accounts(kube).problem(nameless) is None
    problem = await Accounts(kube, required=True).problem(nameless)
    assert problem is not None
    assert problem.reason is Reason.SERVICE_ACCOUNT_REQUIRED
    assert not any(call.by == "operator" for call in kube.log)


async def test_a_kind_that_is_not_served_is_left_to_who_looks_for_it(kube: FakeKube) -> None:
    kube.unserve(ROUTE)
    assert await Accounts(kube).problem(target()) is None

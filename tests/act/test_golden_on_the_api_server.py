"""The golden files on a real API server that has the vendors' own CRDs: it takes the objects as they are before and
after, and what the operator does to one is what the golden file says, down to the last byte."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from act.golden import Golden, Obj, leaves, load
from act.test_routes_on_the_api_server import without_what_may_change
from syncrollout.act.perform import Performer, Target
from syncrollout.act.routers import find
from syncrollout.act.weights import read
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND
from syncrollout.decide.actions import SetWeight
from syncrollout.decide.facts import RouteFact
from syncrollout.ports import KindRef, KubeApi, Object, ObjectRef
from testbed import Cluster

pytestmark = pytest.mark.cluster
NOWHERE = ("gloo-routetable", "gloo-virtualservice")
"""Routers whose CRDs no registry has."""
EVERY = pytest.mark.parametrize("golden", [golden for golden in load() if golden.router != "weightat"], ids=str)


class Direct:
    """A cache that keeps nothing."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api

    async def fetch(self, ref: ObjectRef, *, user: str, **_: Any) -> Object | None:
        return await self._api.get(ref)

    def update(self, obj: Object) -> None: ...

    def forget(self, user: str) -> None: ...


def target(golden: Golden, namespace: str) -> Target:
    spec = SyncRolloutSpec.model_validate(
        {
            "old": {"workload": {"kind": "Deployment", "name": "old"}, "service": golden.old},
            "new": {"workload": {"kind": "Deployment", "name": "new"}, "service": golden.new},
            "traffic": {"routes": [golden.route.model_dump(by_alias=True, exclude_none=True)]},
            "phases": [{"name": "one", "weight": 100}],
        }
    )
    return Target(ObjectRef(KindRef(API_VERSION, KIND), namespace, "sync"), spec, "1", ())


def moved(obj: Obj, namespace: str) -> Obj:
    """The object in a namespace of the test's own, wherever it is named."""
    here: Obj = json.loads(json.dumps(obj, ensure_ascii=False).replace("listings", namespace))
    return here


def expected(before: Obj, golden: Golden, after: Obj) -> Obj:
    """The object as it was stored, with what the golden file says that changes."""
    made = copy.deepcopy(before)
    now = leaves(after)
    for place in golden.writes:
        *parents, last = [token.replace("~1", "/").replace("~0", "~") for token in place[1:].split("/")]
        node: Any = made
        for token in parents:
            node = node[int(token)] if isinstance(node, list) else node[token]
        node[last] = now[place]
    return made


@EVERY
async def test_the_api_server_stores_what_the_golden_file_says(
    golden: Golden, routers: Cluster, vendors: Callable[[str, str], str | None], api: KubeApi, namespace: str
) -> None:
    [row] = [row for row in find(golden.route) if row.slug == golden.router]
    group, _, version = golden.route.api_version.rpartition("/")
    why = "no registry has its CRD" if row.slug in NOWHERE else vendors(f"{row.resource}.{group}", version)
    if why is not None:
        pytest.skip(f"{row.name}: {why}")
    ref = ObjectRef(KindRef(golden.route.api_version, golden.route.kind), namespace, golden.route.name)
    routers.kube.create(moved(golden.before, namespace))
    before = await api.get(ref)
    asked = target(golden, namespace)
    performer = Performer(api, Direct(api))

    await performer.perform(asked, (SetWeight(golden.weight),), urgent=False)
    after = await api.get(ref)
    should = expected(before, golden, moved(golden.after, namespace))
    assert without_what_may_change(after, set()) == without_what_may_change(should, set())
    fact = read(golden.route, after, golden.old, golden.new, aim=golden.weight)
    assert isinstance(fact, RouteFact)
    assert fact.exact == golden.weight

    # done again, nothing is written; there and back, all but the weights is as it was
    await performer.perform(asked, (SetWeight(golden.weight),), urgent=False)
    assert (await api.get(ref))["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    for weight in (100, 0):
        await performer.perform(asked, (SetWeight(weight),), urgent=True)
        now = await api.get(ref)
        fact = read(golden.route, now, golden.old, golden.new)
        assert isinstance(fact, RouteFact)
        assert (fact.exact, fact.share) == (weight, weight)
    written = set(golden.writes)
    assert without_what_may_change(now, written) == without_what_may_change(before, written)

"""Mirrors: which routes can, what is written into them, and that nothing is left of it afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.patching import PatchFailedError, clone, json_patch
from syncrollout.act import mirrors
from syncrollout.api.spec import RouteRef
from syncrollout.api.words import Reason
from syncrollout.decide.facts import MirrorFact, Problem
from syncrollout.ports import Object

HTTP = RouteRef(api_version="gateway.networking.k8s.io/v1", kind="HTTPRoute", name="web")
GRPC = RouteRef(api_version="gateway.networking.k8s.io/v1", kind="GRPCRoute", name="web")
ISTIO = RouteRef(api_version="networking.istio.io/v1", kind="VirtualService", name="web")
ELSEWHERE = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit", "port": 90}, "percent": 5}}
HEADER = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x", "value": "y"}]}}
EMPTY: list[Any] = []


def a_route(*rules: Object, kind: str = "HTTPRoute") -> Object:
    return {
        "apiVersion": HTTP.api_version,
        "kind": kind,
        "metadata": {"name": "web", "namespace": "listings", "uid": "u1"},
        "spec": {"rules": list(rules)},
    }


def a_rule(**more: Any) -> Object:
    refs = [{"name": "v1", "port": 80, "weight": 100}, {"kind": "Service", "name": "v2", "port": 8080, "weight": 0}]
    return {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": refs, **more}


def a_virtual_service(**more: Any) -> Object:
    entries = [
        {"destination": {"host": "v1"}, "weight": 100},
        {"destination": {"host": "v2.listings.svc.cluster.local", "port": {"number": 80}}, "weight": 0},
    ]
    metadata = {"name": "web", "namespace": "listings", "uid": "u1"}
    return {"metadata": metadata, "spec": {"http": [{"route": entries, **more}]}}


def patched(route: RouteRef, obj: Object, percent: int) -> Object:
    operations = mirrors.patch(route, obj, "v1", "v2", percent=percent)
    assert not isinstance(operations, Problem), operations.message
    after: Object = json_patch(obj, operations)
    return after


def fact(route: RouteRef, obj: Object) -> MirrorFact:
    found = mirrors.read(route, obj, "v1", "v2")
    assert isinstance(found, MirrorFact)
    return found


def test_a_route_that_cannot_mirror_is_refused_with_a_sentence() -> None:
    problem = mirrors.unable(RouteRef(api_version="networking.k8s.io/v1", kind="Ingress", name="web"))
    assert problem is not None
    assert problem.reason is Reason.MIRROR_UNSUPPORTED
    assert "Ingress web: SyncRollout cannot mirror" in problem.message
    assert "mirrorPercent 0" in problem.message


def test_the_filter_names_what_news_own_entry_names() -> None:
    after = patched(HTTP, a_route(a_rule()), 100)
    backend = {"kind": "Service", "name": "v2", "port": 8080}
    assert after["spec"]["rules"][0]["filters"] == [{"type": "RequestMirror", "requestMirror": {"backendRef": backend}}]


def test_a_part_of_the_requests_is_a_percentage() -> None:
    after = patched(HTTP, a_route(a_rule()), 30)
    assert after["spec"]["rules"][0]["filters"][0]["requestMirror"]["percent"] == 30


def test_istio_gets_mirror_and_percentage() -> None:
    (rule,) = patched(ISTIO, a_virtual_service(), 30)["spec"]["http"]
    assert rule["mirror"] == {"host": "v2.listings.svc.cluster.local", "port": {"number": 80}}
    assert rule["mirrorPercentage"] == {"value": 30}


ROUTES = {
    "no filters": (HTTP, a_route(a_rule())),
    "an empty list": (HTTP, a_route(a_rule(filters=EMPTY))),
    "other filters": (HTTP, a_route(a_rule(filters=[HEADER]))),
    "its owner's mirror to another": (HTTP, a_route(a_rule(filters=[ELSEWHERE, HEADER]))),
    "several rules": (HTTP, a_route(a_rule(), {"backendRefs": [{"name": "v1"}]}, a_rule(filters=EMPTY))),
    "grpc": (GRPC, a_route(a_rule(), kind="GRPCRoute")),
    "istio": (ISTIO, a_virtual_service(timeout="5s")),
}


@pytest.mark.parametrize("percent", [1, 50, 100])
@pytest.mark.parametrize("what", ROUTES)
def test_afterwards_the_route_is_byte_for_byte_as_its_owner_wrote_it(what: str, percent: int) -> None:
    route, before = ROUTES[what]
    assert fact(route, before) == MirrorFact(str(route), 0, ours=False)
    mirrored = patched(route, before, percent)
    assert fact(route, mirrored).percent == percent
    assert fact(route, mirrored).ours
    assert mirrors.patch(route, mirrored, "v1", "v2", percent=percent) == []
    assert json.dumps(patched(route, mirrored, 0)) == json.dumps(before)


def test_what_the_api_server_adds_to_it_does_not_make_it_another() -> None:
    mirrored = patched(HTTP, a_route(a_rule()), 100)
    mirrored["spec"]["rules"][0]["filters"][0]["requestMirror"]["backendRef"] |= {"group": "", "kind": "Service"}
    assert fact(HTTP, mirrored).percent == 100
    assert "filters" not in patched(HTTP, mirrored, 0)["spec"]["rules"][0]


@pytest.mark.parametrize(
    "change",
    [
        {"percent": 5},
        {"percent": 0},
        {"fraction": {"numerator": 1, "denominator": 2}},
        {"backendRef": {"name": "v2", "port": 9}},
    ],
)
def test_a_mirror_that_somebody_changed_is_written_anew(change: Object) -> None:
    mirrored = patched(HTTP, a_route(a_rule(filters=[HEADER])), 100)
    spoiled = clone(mirrored)
    spoiled["spec"]["rules"][0]["filters"][1]["requestMirror"] |= change
    assert fact(HTTP, spoiled).percent != 100
    assert patched(HTTP, spoiled, 100) == mirrored


def test_a_mirror_that_stands_twice_becomes_one() -> None:
    mirrored = patched(HTTP, a_route(a_rule(filters=[HEADER])), 40)
    twice = clone(mirrored)
    twice["spec"]["rules"][0]["filters"] *= 2
    assert fact(HTTP, twice).percent is None
    (rule,) = patched(HTTP, twice, 40)["spec"]["rules"]
    assert [each["type"] for each in rule["filters"]].count("RequestMirror") == 1


def test_rules_that_differ_are_no_one_percentage() -> None:
    obj = a_route(a_rule(), a_rule())
    obj["spec"]["rules"][0] = patched(HTTP, a_route(a_rule()), 100)["spec"]["rules"][0]
    assert fact(HTTP, obj) == MirrorFact("HTTPRoute web", None, ours=True)


def test_a_mirror_to_a_service_of_another_namespace_is_not_one_to_new() -> None:
    other = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "v2", "namespace": "x", "port": 8080}}}
    obj = a_route(a_rule(filters=[other]))
    assert fact(HTTP, obj) == MirrorFact("HTTPRoute web", 0, ours=False)
    assert patched(HTTP, patched(HTTP, obj, 100), 0) == obj


@pytest.mark.parametrize("beside", [{"mirror": {"host": "audit"}}, {"mirrors": []}, {"mirrorPercentage": {"value": 1}}])
def test_where_there_is_room_for_one_mirror_its_owners_is_named(beside: Object) -> None:
    (key,) = beside
    assert f"/spec/http/0 has a {key} of its owner's" in fact(ISTIO, a_virtual_service(**beside)).taken


def test_rules_that_are_not_http_cannot_mirror() -> None:
    obj = a_virtual_service()
    obj["spec"]["tcp"] = obj["spec"].pop("http")
    problem = mirrors.read(ISTIO, obj, "v1", "v2")
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.MIRROR_UNSUPPORTED
    assert "only those of spec.http can mirror" in problem.message


def test_a_rule_that_was_changed_meanwhile_is_not_written_over() -> None:
    before = a_route(a_rule())
    operations = mirrors.patch(HTTP, before, "v1", "v2", percent=100)
    assert isinstance(operations, list)
    with pytest.raises(PatchFailedError):
        json_patch(a_route(a_rule(filters=[HEADER])), operations)


lists_of_filters = st.lists(st.sampled_from([HEADER, ELSEWHERE]), max_size=3) | st.none()


@given(st.lists(lists_of_filters, min_size=1, max_size=3), st.data())
def test_whatever_percentages_come_in_whatever_order_nothing_is_left(
    filters: list[list[Object] | None], data: st.DataObject
) -> None:
    before = a_route(*(a_rule(**({} if each is None else {"filters": each})) for each in filters))
    obj = before
    for percent in data.draw(st.lists(st.integers(0, 100), max_size=4)):
        obj = patched(HTTP, obj, percent)
        assert fact(HTTP, obj).percent == percent
    assert json.dumps(patched(HTTP, obj, 0)) == json.dumps(before)

"""Routers that keep their weights in ways of their own: what is read, and what a person is told to mend."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from act.golden import Golden, load
from syncrollout.act.embedded import with_number
from syncrollout.act.paths import as_host
from syncrollout.act.routers import Coding
from syncrollout.act.weights import patch, read, unreadable
from syncrollout.api.spec import RouteRef
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Problem, RouteFact

GOLDEN = {str(golden): golden for golden in load()}
CANARY = "nginx.ingress.kubernetes.io/canary"
ACTION = "alb.ingress.kubernetes.io/actions.sync"
SKIPPER = "zalando.org/backend-weights"


def annotation(key: str, value: str | None) -> Callable[[dict[str, Any]], object]:
    def change(obj: dict[str, Any]) -> object:
        annotations = obj["metadata"]["annotations"]
        return annotations.pop(key) if value is None else annotations.update({key: value})

    return change


def backend(name: str) -> Callable[[dict[str, Any]], None]:
    def change(obj: dict[str, Any]) -> None:
        obj["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = name

    return change


def entry(*path: str | int, **more: Any) -> Callable[[dict[str, Any]], None]:
    """Change the entry at a place of the spec; None takes a key away."""

    def change(obj: dict[str, Any]) -> None:
        node = obj["spec"]
        for token in path:
            node = node[token]
        for key, value in more.items():
            if value is None:
                node.pop(key, None)
            else:
                node[key] = value

    return change


def problem(golden: Golden, obj: dict[str, Any]) -> Problem:
    """What is said of the object, which is the same whether it is read or written."""
    told = read(golden.route, obj, golden.old, golden.new)
    assert isinstance(told, Problem), told
    for weight in (0, 10, 100):
        assert patch(golden.route, obj, golden.old, golden.new, weight=weight) == told
    return told


@pytest.mark.parametrize(
    ("golden", "change", "reason", "message"),
    [
        (
            "ingress-nginx-canary/canary",
            annotation(CANARY, None),
            Reason.INVALID_SPEC,
            (
                "Ingress sync-canary: a canary Ingress needs the annotation "
                'nginx.ingress.kubernetes.io/canary: "true", or '
                "the controller does not look at its weight; "
                "/metadata/annotations/nginx.ingress.kubernetes.io~1canary is missing"
            ),
        ),
        (
            "ingress-nginx-canary/canary",
            annotation(CANARY, "false"),
            Reason.INVALID_SPEC,
            "/metadata/annotations/nginx.ingress.kubernetes.io~1canary is 'false', not 'true'",
        ),
        (
            "ingress-nginx-canary/own-prefix-and-total",
            annotation("nginx.example.com/canary", None),
            Reason.INVALID_SPEC,
            'needs the annotation nginx.example.com/canary: "true"',
        ),
        (
            "ingress-nginx-canary/canary",
            backend("sync-v1"),
            Reason.ROUTE_NAMES_NOT_BOTH,
            (
                "Ingress sync-canary: every backend of a canary Ingress must be the Service of new, for "
                "the weight is that "
                "of the whole Ingress; /spec/rules/0/http/paths/0/backend/service/name is 'sync-v1', not 'sync-v2'"
            ),
        ),
        (
            "ingress-nginx-canary/own-prefix-and-total",
            backend("sync-v3"),
            Reason.ROUTE_NAMES_NOT_BOTH,
            "/spec/rules/0/http/paths/0/backend/service/name is 'sync-v3', not 'sync-v2'",
        ),
        (
            "ingress-nginx-canary/canary",
            entry(rules=[]),
            Reason.ROUTE_NAMES_NOT_BOTH,
            "the Service of new, for the weight is that of the whole Ingress; the list /spec/rules is empty",
        ),
        (
            "ingress-nginx-canary/canary",
            annotation(f"{CANARY}-weight", "ten"),
            Reason.INVALID_SPEC,
            (
                "Ingress sync-canary: a number of 0 or more should stand at "
                "/metadata/annotations/nginx.ingress.kubernetes.io~1canary-weight, but there is 'ten'; mend the Ingress"
            ),
        ),
        (
            "ingress-nginx-canary/own-prefix-and-total",
            annotation("nginx.example.com/canary-weight-total", "0"),
            Reason.INVALID_SPEC,
            (
                "a whole number above 0 should stand at "
                "/metadata/annotations/nginx.example.com~1canary-weight-total, but "
                "there is '0'; mend the Ingress"
            ),
        ),
        (
            "ingress-nginx-canary/canary",
            lambda obj: obj["metadata"].pop("annotations"),
            Reason.ROUTE_KIND_UNKNOWN,
            (
                "Ingress sync-canary: none of its annotations holds weights; known are "
                "nginx.ingress.kubernetes.io/canary (ingress-nginx canary), "
                "alb.ingress.kubernetes.io/actions.<name> (AWS load balancer), "
                "zalando.org/backend-weights (Skipper): give it "
                "one, name the Ingress that has it, or say with weightAt where its weights are"
            ),
        ),
        (
            "ingress-nginx-canary/canary",
            annotation(SKIPPER, "{}"),
            Reason.ROUTE_KIND_UNKNOWN,
            (
                "it has the annotations of several controllers: nginx.ingress.kubernetes.io/canary "
                "(ingress-nginx canary), "
                "zalando.org/backend-weights (Skipper); leave those of one"
            ),
        ),
        (
            "aws-load-balancer/action",
            annotation(ACTION, '{"type":"forward",'),
            Reason.INVALID_SPEC,
            (
                "Ingress sync: /metadata/annotations/alb.ingress.kubernetes.io~1actions.sync should be "
                "JSON, and is not: "
                "Expecting property name enclosed in double quotes: line 1 column 19 (char 18); mend the Ingress"
            ),
        ),
        (
            "aws-load-balancer/action",
            annotation(ACTION, '{"type":"forward","targetGroupARN":"arn"}'),
            Reason.ROUTE_NAMES_NOT_BOTH,
            "no action names both old and new: it names neither Service sync-v1 (old) nor Service sync-v2 (new)",
        ),
        (
            "aws-load-balancer/capital-letters",
            annotation(ACTION, '{"ForwardConfig":{"TargetGroups":[{"ServiceName":"sync-v1","Weight":1}]}}'),
            Reason.ROUTE_NAMES_NOT_BOTH,
            "it names Service sync-v1 (old), but not Service sync-v2 (new)",
        ),
        (
            "aws-load-balancer/capital-letters",
            annotation(
                ACTION,
                '{"ForwardConfig":{"TargetGroups":[{"ServiceName":"sync-v1","Weight":"1"},{"ServiceName":"sync-v2"}]}}',
            ),
            Reason.INVALID_SPEC,
            (
                "should stand at /metadata/annotations/alb.ingress.kubernetes.io~1actions.sync (in its JSON: "
                "/ForwardConfig/TargetGroups/0/Weight), but there is '1'"
            ),
        ),
        ("skipper/backend-weights", annotation(SKIPPER, "v1=80"), Reason.INVALID_SPEC, "should be JSON, and is not"),
        (
            "skipper/backend-weights",
            annotation(SKIPPER, '{"sync-v1": 100}'),
            Reason.ROUTE_NAMES_NOT_BOTH,
            "it names Service sync-v1 (old), but not Service sync-v2 (new)",
        ),
        (
            "skipper/backend-weights",
            backend("sync-v3"),
            Reason.ROUTE_NAMES_NOT_BOTH,
            (
                "the Ingress must have the Service of old as a backend; "
                "/spec/rules/0/http/paths/0/backend/service/name is 'sync-v3', not 'sync-v1'"
            ),
        ),
        (
            "emissary-mapping/v2",
            entry(service="sync-v1"),
            Reason.ROUTE_NAMES_NOT_BOTH,
            (
                "Mapping sync-canary: it does not name Service sync-v2 (new), whose weight it is to hold: "
                "/spec does not have service 'sync-v2'"
            ),
        ),
        ("emissary-mapping/v2", entry(weight=-1), Reason.INVALID_SPEC, "but there is -1; mend the Mapping"),
        (
            "istio-virtualservice/subsets-of-one-host",
            entry("http", 0, "route", 2, weight=100),
            Reason.INVALID_SPEC,
            (
                "VirtualService sync: the numbers of a route have to add up to 100, and the entries beside old and new "
                "(/spec/http/0/route/2/weight) have 100 already, so that the two cannot share whole numbers of what is "
                "left; lower those"
            ),
        ),
        (
            "istio-virtualservice/subsets-of-one-host",
            entry("http", 0, "route", 0, destination={"host": "sync", "subset": "v0"}),
            Reason.ROUTE_NAMES_NOT_BOTH,
            "it names Service sync, subset v2 (new), but not Service sync, subset v1 (old)",
        ),
        (
            "knative-service/tags-and-latest",
            entry("traffic", 3, percent=120),
            Reason.INVALID_SPEC,
            "(/spec/traffic/3/percent) have 120 already",
        ),
        (
            "knative-service/tags-and-latest",
            entry("traffic", 3, percent="10%"),
            Reason.INVALID_SPEC,
            "should stand at /spec/traffic/3/percent, but there is '10%'",
        ),
        (
            "knative-service/tags-and-latest",
            entry("traffic", 2, percent=5),
            Reason.ROUTE_NAMES_NOT_BOTH,
            "one list of targets names new twice (/spec/traffic/1/percent and /spec/traffic/2/percent)",
        ),
        ("smi-trafficsplit/numbers", entry("backends", 0, weight="1/2"), Reason.INVALID_SPEC, "but there is '1/2'"),
        ("smi-trafficsplit/numbers", entry("backends", 0, weight=True), Reason.INVALID_SPEC, "but there is True"),
        (
            "openshift-route/old-in-to",
            entry(alternateBackends=None),
            Reason.ROUTE_NAMES_NOT_BOTH,
            "no Route names both old and new: it names Service sync-v1 (old), but not Service sync-v2 (new)",
        ),
        (
            "apisix-apisixroute/http",
            entry("http", 0, "backends", 1, serviceName="sync-v3"),
            Reason.ROUTE_NAMES_NOT_BOTH,
            "it names Service sync-v1 (old), but not Service sync-v2 (new)",
        ),
        (
            "contour-httpproxy/tcpproxy",
            entry("tcpproxy", "services", 1, mirror=True),
            Reason.ROUTE_NAMES_NOT_BOTH,
            "it names Service sync-v1 (old), but not Service sync-v2 (new)",
        ),
    ],
)
def test_what_a_router_cannot_mean_is_said_and_nothing_is_written(
    golden: str, change: Callable[[dict[str, Any]], object], reason: Reason, message: str
) -> None:
    obj = copy.deepcopy(GOLDEN[golden].before)
    change(obj)
    told = problem(GOLDEN[golden], obj)
    assert told.reason is reason
    assert message in told.message


def test_a_host_that_is_named_twice_asks_for_subsets() -> None:
    golden = GOLDEN["istio-virtualservice/subsets-of-one-host"]
    without = golden.route.model_copy(update={"subsets": None})
    told = read(without, golden.before, "sync", "sync")
    assert isinstance(told, Problem)
    assert "names old twice" in told.message
    assert "say with subsets which of them is old's and new's" in told.message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"subsets": {"old": "a", "new": "b"}}, "HTTPRoute web: subsets means nothing for HTTPRoute (gateway"),
        ({"annotationPrefix": "x.io"}, "HTTPRoute web: annotationPrefix means nothing for HTTPRoute (gateway"),
        ({"annotationPrefix": "x.io", "weightAt": {"new": "a"}}, "annotationPrefix means nothing beside weightAt"),
    ],
)
def test_a_field_that_means_nothing_for_the_kind_is_refused(more: dict[str, Any], message: str) -> None:
    route = RouteRef.model_validate(
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web", **more}
    )
    told = unreadable(route)
    assert told is not None
    assert told.reason is Reason.INVALID_SPEC
    assert message in told.message


@pytest.mark.parametrize("golden", [golden for golden in GOLDEN.values() if golden.route.weight_at is None], ids=str)
def test_a_route_without_new_says_that_it_does_not_name_it(golden: Golden) -> None:
    told = read(golden.route, golden.before, golden.old, "sync-v9")
    if golden.old == golden.new:
        told = read(golden.route, golden.before, "sync-v8", "sync-v9")
    assert isinstance(told, Problem)
    assert told.reason is Reason.ROUTE_NAMES_NOT_BOTH
    assert "sync-v9" in told.message


@pytest.mark.parametrize(
    ("golden", "places"),
    [
        (
            "ingress-nginx-canary/own-prefix-and-total",
            {
                "/metadata/annotations/nginx.example.com~1canary": "true",
                "/metadata/annotations/nginx.example.com~1canary-weight-total": "1000",
                "/spec/rules/0/http/paths/0/backend/service/name": "sync-v2",
                "/spec/rules/0/http/paths/1/backend/service/name": "sync-v2",
            },
        ),
        (
            "istio-virtualservice/subsets-of-one-host",
            {
                "/spec/http/0/route/0/destination/host": "sync",
                "/spec/http/0/route/0/destination/subset": "v1",
                "/spec/http/0/route/1/destination/host": "sync",
                "/spec/http/0/route/1/destination/subset": "v2",
                "/spec/http/0/route/2/weight": 20,
            },
        ),
        ("emissary-mapping/v2", {"/spec/service": "http://sync-v2:80"}),
        ("openshift-route/old-in-to", {"/spec/to/name": "sync-v1", "/spec/alternateBackends/0/name": "sync-v2"}),
    ],
)
def test_a_patch_holds_on_to_all_that_its_numbers_rest_on(golden: str, places: dict[str, Any]) -> None:
    asked = GOLDEN[golden]
    made = patch(asked.route, asked.before, asked.old, asked.new, weight=asked.weight)
    assert not isinstance(made, Problem)
    assert {one["path"]: one["value"] for one in made if one["op"] == "test"} == places


def test_one_action_in_broken_json_does_not_hinder_another() -> None:
    golden = GOLDEN["aws-load-balancer/action"]
    obj = copy.deepcopy(golden.before)
    obj["metadata"]["annotations"]["alb.ingress.kubernetes.io/actions.other"] = "{"
    assert isinstance(read(golden.route, obj, golden.old, golden.new), RouteFact)


@pytest.mark.parametrize(
    ("weights", "share"),
    [({"sync-v1": 0, "sync-v2": 0}, 50.0), ({"sync-v1": 0, "sync-v2": 1}, 100.0), ({"sync-v1": 3, "sync-v2": 1}, 25.0)],
)
def test_a_router_that_splits_nothing_evenly_is_read_so(weights: dict[str, int], share: float) -> None:
    golden = GOLDEN["skipper/backend-weights"]
    obj = copy.deepcopy(golden.before)
    obj["metadata"]["annotations"][SKIPPER] = json.dumps(weights)
    assert read(golden.route, obj, golden.old, golden.new) == RouteFact("Ingress sync", share, None)


# forms of numbers and hosts


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("100", 100), ("500m", 0.5), ("1.5", 1.5), (".5", 0.5), ("2.", 2), ("1k", 1000), ("1Ki", 1024)]
    + [("1e2", 100), ("1E-1", 0.1), ("5E", 5e18), ("10u", 1e-5)]
    + [(bad, None) for bad in ("", "m", "-1", "1 ", "1mm", "1e", "1e2k", "NaN", "0x1", "\u0661")],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(text: str, number: float | None) -> None:
    assert Coding.QUANTITY.read(text) == (pytest.approx(number) if number is not None else None)


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("sync", True),
        ("sync.shop", True),
        ("sync.shop.svc", True),
        ("sync.shop.svc.cluster.local", True),
        ("sync.shop.svc.cluster.local.", True),
        ("sync.shop.svc.corp.example", True),
        ("http://sync:8080", True),
        ("https://sync.shop.svc:443", True),
        ("sync.other", False),
        ("sync.other.svc.cluster.local", False),
        ("sync.shop.example.com", False),
        ("sync2", False),
        ("a.sync", False),
        ("*", False),
        ("", False),
    ],
)
def test_a_host_names_a_service_in_any_of_its_forms(host: str, is_it: bool) -> None:
    assert as_host(host, "sync", "shop") is is_it


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def places(node: Any) -> list[tuple[str | int, ...]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [(key, *rest) for key, item in pairs for rest in [(), *places(item)]]


@given(json_values, st.data(), st.sampled_from([None, 0, 1, 3, "\t"]), st.integers(0, 1000))
def test_a_number_in_a_json_text_is_replaced_and_the_rest_stays(
    value: Any, data: st.DataObject, indent: int | str | None, number: int
) -> None:
    everywhere = places(value)
    if not everywhere:
        return
    at = data.draw(st.sampled_from(everywhere))
    text = "\n " + json.dumps(value, indent=indent) + " "
    after = with_number(text, at, number)
    node = value
    for token in at[:-1]:
        node = node[token]
    node[at[-1]] = number
    assert json.loads(after) == value
    assert after == "\n " + json.dumps(value, indent=indent) + " "


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("{}", '{"w":5}'),
        ("{ }", '{"w":5 }'),
        ('{"a":{}}', '{"a":{},"w":5}'),
        ('{\n  "a": 1\n}', '{\n  "a": 1, "w": 5\n}'),
        ('{"w":1,"w":2}', '{"w":1,"w":5}'),  # of a key that is there twice the last one counts
        ('{"w":1.50e1 , "a":"w\\":3"}', '{"w":5 , "a":"w\\":3"}'),
    ],
)
def test_a_number_that_is_missing_in_a_json_text_is_added(text: str, after: str) -> None:
    assert with_number(text, ["w"], 5) == after

"""The weights of a route: what is read from an object, and what a patch changes in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from act.jsonpatch import TestFailed, apply
from syncrollout.act.weights import patch, read
from syncrollout.api.spec import RouteRef, WeightAt
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Problem, RouteFact

HTTP = RouteRef(api_version="gateway.networking.k8s.io/v1", kind="HTTPRoute", name="sync")


def custom(new: str, old: str | None = None, total: int = 100) -> RouteRef:
    at = WeightAt(new=new, old=old, total=total)
    return RouteRef(api_version="proxy.example.com/v1", kind="Splitter", name="sync", weight_at=at)


def http_route(*rules: list[dict[str, Any]]) -> dict[str, Any]:
    metadata = {"name": "sync", "namespace": "shop", "uid": "u-1"}
    return {"metadata": metadata, "spec": {"rules": [{"backendRefs": rule} for rule in rules]}}


def backend(name: str, weight: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "port": 80, **({} if weight is None else {"weight": weight}), **more}


def weighed(route: RouteRef, obj: dict[str, Any], weight: int) -> dict[str, Any]:
    operations = patch(route, obj, "v1", "v2", weight=weight)
    assert not isinstance(operations, Problem), operations
    return apply(obj, operations)


# reading


@pytest.mark.parametrize(
    ("rules", "share", "exact"),
    [
        ([[backend("v1", 90), backend("v2", 10)]], 10.0, 10),
        ([[backend("v2", 10), backend("v1", 90)]], 10.0, 10),
        ([[backend("v1", 9), backend("v2", 1)]], 10.0, None),  # the same share, but not in our numbers
        ([[backend("v1"), backend("v2")]], 50.0, None),  # no weight means 1
        ([[backend("v1"), backend("v2", 0)]], 0.0, None),
        ([[backend("v1", 0), backend("v2", 0)]], 0.0, None),
        ([[backend("v1", 100), backend("v2", 0)], [backend("v1", 40), backend("v2", 60)]], 60.0, None),
        ([[backend("v1", 100), backend("v2", 0)], [backend("v2", 1)], [backend("v1", 1)]], 0.0, 0),
        ([[backend("v1", 0), backend("v2", 100), backend("v3", 7)]], 100.0, 100),
        ([[backend("v1", 90), backend("v2", 20)]], pytest.approx(18.18, abs=0.01), None),
        ([[backend("v1", 90), backend("v2", 10), backend("v2", 90, namespace="far")]], 10.0, 10),
        ([[backend("v1", 90), backend("v2", 10), backend("v2", 90, kind="ServiceImport")]], 10.0, 10),
        ([[backend("v1", 90, namespace="shop", kind="Service", group=""), backend("v2", 10)]], 10.0, 10),
    ],
)
def test_the_share_is_the_greatest_and_the_weight_is_exact_only_where_every_rule_stands_at_it(
    rules: list[list[dict[str, Any]]], share: float, exact: int | None
) -> None:
    assert read(HTTP, http_route(*rules), "v1", "v2") == RouteFact(name="HTTPRoute sync", share=share, exact=exact)


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha2"])
@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_every_version_of_the_gateway_api_is_known(version: str, kind: str) -> None:
    route = RouteRef(api_version=f"gateway.networking.k8s.io/{version}", kind=kind, name="sync")
    fact = read(route, http_route([backend("v1", 75), backend("v2", 25)]), "v1", "v2")
    assert isinstance(fact, RouteFact)
    assert fact.exact == 25


def test_weight_at_goes_before_the_table() -> None:
    route = HTTP.model_copy(update={"weight_at": WeightAt(new="spec.rules[*].share", total=200)})
    obj = {"metadata": {}, "spec": {"rules": [{"share": 50}, {"share": 10}]}}
    assert read(route, obj, None, None) == RouteFact(name="HTTPRoute sync", share=25.0, exact=None)


def test_a_number_of_new_alone_is_a_part_of_the_total() -> None:
    route = custom("spec.canary", total=1000)
    assert read(route, {"spec": {"canary": 250}}, None, None) == RouteFact("Splitter sync", 25.0, 25)
    assert read(route, {"spec": {"canary": 255}}, None, None) == RouteFact("Splitter sync", 25.5, None)
    assert read(route, {"spec": {"canary": 4000}}, None, None) == RouteFact("Splitter sync", 100.0, None)


def test_a_number_whose_absence_means_nothing_known_is_never_exact() -> None:
    route = custom("spec.canary")
    assert read(route, {"spec": {}}, None, None) == RouteFact("Splitter sync", 0.0, None)
    assert patch(route, {"spec": {}}, None, None, weight=0) == [{"op": "add", "path": "/spec/canary", "value": 0}]


@pytest.mark.parametrize(("aim", "exact"), [(None, 10), (10, 10), (15, 15), (19, 19), (20, 10), (9, 10)])
def test_where_several_weights_are_the_same_numbers_the_wanted_one_is_exact(aim: int | None, exact: int) -> None:
    route = custom("spec.new", "spec.old", total=10)
    fact = read(route, {"spec": {"old": 9, "new": 1}}, None, None, aim=aim)
    assert isinstance(fact, RouteFact)
    assert fact.exact == exact


# what a person has to mend


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            [[backend("v1", 1)], [backend("v3", 1)]],
            (
                "HTTPRoute sync: no rule names both old and new: it names Service v1 (old), but not Service v2 (new); "
                "add Service v2 (new) beside it, with weight 0"
            ),
        ),
        (
            [[backend("v2", 1)]],
            (
                "HTTPRoute sync: no rule names both old and new: it names Service v2 (new), but not Service v1 (old); "
                "add Service v1 (old) beside it, with weight 0"
            ),
        ),
        (
            [],
            (
                "HTTPRoute sync: no rule names both old and new: it names neither Service v1 (old) nor "
                "Service v2 (new); name both in one rule"
            ),
        ),
        (
            [[backend("v1")], [backend("v2")]],
            (
                "HTTPRoute sync: no rule names both old and new: Service v1 (old) and Service v2 (new) stand in "
                "different rules; name both in the same rule"
            ),
        ),
        (
            [[backend("v1", 9), backend("v2", 0), backend("v1", 1)]],
            (
                "HTTPRoute sync: one rule names old twice (/spec/rules/0/backendRefs/0/weight and "
                "/spec/rules/0/backendRefs/2/weight), so that its share is not one number; leave one of the two"
            ),
        ),
    ],
)
def test_a_route_that_does_not_name_both_says_what_is_missing(rules: list[list[dict[str, Any]]], message: str) -> None:
    problem = Problem(Reason.ROUTE_NAMES_NOT_BOTH, message)
    assert read(HTTP, http_route(*rules), "v1", "v2") == problem
    assert patch(HTTP, http_route(*rules), "v1", "v2", weight=10) == problem


def test_a_kind_that_is_not_known_asks_for_weight_at() -> None:
    route = RouteRef(api_version="proxy.example.com/v1", kind="HTTPRoute", name="sync")
    problem = read(route, http_route([backend("v1"), backend("v2")]), "v1", "v2")
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.ROUTE_KIND_UNKNOWN
    assert "HTTPRoute (proxy.example.com/v1)" in problem.message
    assert "weightAt" in problem.message


@pytest.mark.parametrize(
    ("route", "obj", "reason", "part"),
    [
        (custom("spec.a[", "spec.b"), {}, Reason.INVALID_SPEC, "cannot be read at position 8"),
        (custom("spec.a[*].n", "spec.b"), {}, Reason.INVALID_SPEC, "same number of [*]"),
        (custom("spec.$new", "spec.$old"), {}, Reason.INVALID_SPEC, "give spec.new.service"),
        (custom("spec.n", "spec.n"), {"spec": {"n": 1}}, Reason.INVALID_SPEC, "the same number, at /spec/n"),
        (custom("spec.n"), {"spec": {"n": "10"}}, Reason.INVALID_SPEC, "should stand at /spec/n, but there is '10'"),
        (custom("spec.n"), {"spec": {"n": True}}, Reason.INVALID_SPEC, "but there is True; point weightAt"),
        (custom("spec.n"), {"spec": {"n": None}}, Reason.INVALID_SPEC, "but there is None"),
        (custom("spec.n"), {"spec": {"n": -1}}, Reason.INVALID_SPEC, "but there is -1"),
        (custom("spec.n"), {"spec": {"n": {"m": 1}}}, Reason.INVALID_SPEC, "but there is {'m': 1}"),
        (custom("spec.n.m"), {"spec": {}}, Reason.ROUTE_NAMES_NOT_BOTH, "weightAt.new (spec.n.m) leads nowhere"),
        (custom("spec.n.m", "spec.o"), {"spec": {}}, Reason.ROUTE_NAMES_NOT_BOTH, "leads nowhere: /spec has no 'n'"),
        (custom("spec.o", "spec.n.m"), {"spec": {}}, Reason.ROUTE_NAMES_NOT_BOTH, "weightAt.old (spec.n.m)"),
        (custom("spec.a[k=x].n"), {"spec": {"a": [{"k": "x"}, {"k": "x"}]}}, Reason.ROUTE_NAMES_NOT_BOTH, "new twice"),
    ],
)
def test_weight_at_that_does_not_fit_the_object_says_why(
    route: RouteRef, obj: dict[str, Any], reason: Reason, part: str
) -> None:
    for answer in (read(route, obj, "v1", None), patch(route, obj, "v1", None, weight=1)):
        assert isinstance(answer, Problem)
        assert answer.reason is reason
        assert part in answer.message


def test_a_weight_out_of_range_is_a_mistake_of_the_caller() -> None:
    for weight in (-1, 101):
        with pytest.raises(ValueError, match="0 to 100 percent"):
            patch(HTTP, http_route([backend("v1"), backend("v2")]), "v1", "v2", weight=weight)


# patching


def test_a_patch_holds_on_to_the_object_and_to_both_entries() -> None:
    obj = http_route([backend("v3", 1), backend("v1", 90), backend("v2", 1)])
    assert patch(HTTP, obj, "v1", "v2", weight=10) == [
        {"op": "test", "path": "/metadata/uid", "value": "u-1"},
        {"op": "test", "path": "/spec/rules/0/backendRefs/1/name", "value": "v1"},
        {"op": "test", "path": "/spec/rules/0/backendRefs/2/name", "value": "v2"},
        {"op": "add", "path": "/spec/rules/0/backendRefs/2/weight", "value": 10},
    ]


def test_a_route_that_was_made_anew_is_not_patched() -> None:
    obj = http_route([backend("v1", 90), backend("v2", 1)])
    operations = patch(HTTP, obj, "v1", "v2", weight=10)
    assert not isinstance(operations, Problem)
    obj["metadata"]["uid"] = "u-2"
    with pytest.raises(TestFailed, match="/metadata/uid"):
        apply(obj, operations)


# properties: any HTTPRoute, any weight

others = st.sampled_from(["v3", "v4", "v5"])
numbers_or_none = st.none() | st.integers(0, 1_000_000)
weights = st.integers(0, 100)
other_rules = st.lists(st.builds(backend, others | st.just("v1"), numbers_or_none), max_size=3, unique_by=str)


@st.composite
def mixed_rules(draw: st.DrawFn) -> list[dict[str, Any]]:
    strangers = draw(st.lists(st.builds(backend, others, numbers_or_none, color=st.text(max_size=3)), max_size=3))
    pair = [backend("v1", draw(numbers_or_none)), backend("v2", draw(numbers_or_none), tag=draw(st.integers()))]
    return draw(st.permutations(strangers + pair))


@st.composite
def routes(draw: st.DrawFn) -> dict[str, Any]:
    rules = draw(st.lists(other_rules, max_size=3)) + draw(st.lists(mixed_rules(), min_size=1, max_size=3))
    return http_route(*draw(st.permutations([rule for rule in rules if [b["name"] for b in rule].count("v1") < 2])))


def without_weights(obj: dict[str, Any]) -> str:
    kept = json.loads(json.dumps(obj))
    for rule in kept["spec"]["rules"]:
        if {"v1", "v2"} <= {entry["name"] for entry in rule["backendRefs"]}:
            for entry in rule["backendRefs"]:
                if entry["name"] in {"v1", "v2"}:
                    entry.pop("weight", None)
    return json.dumps(kept)


@given(routes(), weights)
def test_what_is_patched_reads_back_as_the_weight_and_nothing_else_is_touched(obj: dict[str, Any], weight: int) -> None:
    after = weighed(HTTP, obj, weight)
    fact = read(HTTP, after, "v1", "v2")
    assert isinstance(fact, RouteFact)
    assert (fact.exact, fact.share) == (weight, float(weight))
    assert without_weights(after) == without_weights(obj)
    assert patch(HTTP, after, "v1", "v2", weight=weight) == []


@given(routes(), weights, st.randoms(use_true_random=False))
def test_a_list_that_was_reordered_meanwhile_is_refused_or_still_right(
    obj: dict[str, Any], weight: int, rnd: Any
) -> None:
    operations = patch(HTTP, obj, "v1", "v2", weight=weight)
    assert not isinstance(operations, Problem)
    moved = json.loads(json.dumps(obj))
    for rule in moved["spec"]["rules"]:
        rnd.shuffle(rule["backendRefs"])
    try:
        after = apply(moved, operations)
    except (TestFailed, IndexError):
        return
    # it was accepted: then every entry that it wrote to is still the one that was meant
    assert without_weights(after) == without_weights(moved)


@given(mixed_rules(), weights)
def test_swapped_entries_are_refused(rule: list[dict[str, Any]], weight: int) -> None:
    obj = http_route(rule)
    operations = patch(HTTP, obj, "v1", "v2", weight=weight)
    assert not isinstance(operations, Problem)
    at = {entry["name"]: index for index, entry in enumerate(rule)}
    swapped = list(rule)
    swapped[at["v1"]], swapped[at["v2"]] = rule[at["v2"]], rule[at["v1"]]
    if operations:
        with pytest.raises(TestFailed):
            apply(http_route(swapped), operations)


@given(st.integers(1, 1_000_000), weights, st.booleans(), numbers_or_none, numbers_or_none)
def test_any_total_reads_back_and_new_never_gets_more_than_its_share(
    total: int, weight: int, alone: bool, old: int | None, new: int | None
) -> None:
    route = custom("spec.new", None if alone else "spec.old", total)
    standing = {key: value for key, value in (("old", old), ("new", new)) if value is not None}
    after = weighed(route, {"metadata": {"uid": "u"}, "spec": standing}, weight)
    spec = after["spec"]
    assert spec["new"] * 100 <= weight * total < (spec["new"] + 1) * 100
    assert alone or spec["old"] + spec["new"] == total
    fact = read(route, after, None, None, aim=weight)
    assert isinstance(fact, RouteFact)
    assert fact.exact == weight
    if total >= 100:
        assert read(route, after, None, None) == fact


@pytest.mark.parametrize("fenced", [True, False])
def test_only_what_is_fenced_is_refused_where_somebody_has_set_another_weight_meanwhile(fenced: bool) -> None:
    found = patch(HTTP, http_route([backend("v1", 50), backend("v2", 50)]), "v1", "v2", weight=0, fenced=fenced)
    meanwhile = http_route([backend("v1", 10), backend("v2", 90)])
    assert isinstance(found, list)
    if fenced:
        with pytest.raises(TestFailed):
            apply(meanwhile, found)
    else:
        assert apply(meanwhile, found) == http_route([backend("v1", 100), backend("v2", 0)])

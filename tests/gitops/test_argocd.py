"""What Argo CD is told in manifests/argocd: which fields are the operator's, and scripts that run without libraries."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from act.golden import Golden, leaves, load
from syncrollout import argocd
from testbed import GitOps

Obj = dict[str, Any]
_HTTP_ROUTE: Obj = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
BARE: Obj = {"metadata": {"name": "move", "generation": 1}, "spec": {}}


def _expressions(obj: Obj) -> tuple[str, ...]:
    group, _, _ = str(obj["apiVersion"]).rpartition("/")
    return argocd.ignored()[group, obj["kind"]]


def _golden() -> list[Golden]:
    """Those that the table says all of: what a `weightAt` or an `annotationPrefix` names is each installation's own."""
    return [each for each in load() if each.router != "weightat" and each.route.annotation_prefix is None]


@pytest.mark.parametrize("golden", _golden(), ids=str)
def test_what_the_operator_writes_into_a_route_is_no_difference_to_git(gitops: GitOps, golden: Golden) -> None:
    healed = gitops.heals(golden.after, golden.before, expressions=_expressions(golden.after))
    assert not healed.differs
    assert healed.applies == golden.after


def test_without_that_it_would_be_one_wherever_git_says_a_weight(gitops: GitOps) -> None:
    silent = [each for each in _golden() if not gitops.heals(each.after, each.before).differs]
    assert len(silent) < len(_golden()) / 4
    for each in silent:
        assert not set(each.writes) & set(leaves(each.before)), each


@pytest.mark.parametrize("golden", _golden(), ids=str)
def test_whatever_else_differs_from_git_is_still_seen(gitops: GitOps, golden: Golden) -> None:
    wanted = {**golden.before, "spec": {**golden.before["spec"], "other": "edited"}}
    assert gitops.heals(golden.after, wanted, expressions=_expressions(golden.after)).differs


def test_a_mirror_that_the_operator_has_put_is_no_difference(gitops: GitOps) -> None:
    wanted: Obj = {"spec": {"rules": [{"filters": [{"type": "X"}], "backendRefs": [{"name": "old", "weight": 100}]}]}}
    live: Obj = {"spec": {"rules": [{"filters": [{"type": "X"}, {"type": "RequestMirror"}], "backendRefs": []}]}}
    live["spec"]["rules"][0]["backendRefs"] = [{"name": "old", "weight": 90}]
    expressions = argocd.ignored()["gateway.networking.k8s.io", "HTTPRoute"]
    assert not gitops.heals(live, wanted, expressions=expressions).differs


def test_the_config_map_holds_the_scripts_as_they_stand() -> None:
    data = yaml.safe_load(argocd.PAGE.read_text())["data"]
    assert data["resource.customizations.health.syncrollout.io_SyncRollout"] == argocd.read()["health"]
    actions = yaml.safe_load(data["resource.customizations.actions.syncrollout.io_SyncRollout"])
    offered = {each["name"]: each["action.lua"] for each in actions["definitions"]}
    assert {f"actions/{name}": script for name, script in offered.items()} == {
        name: script
        for name, script in argocd.read().items()
        if name.startswith("actions/") and name != "actions/discovery"
    }


def test_every_action_that_is_offered_is_defined(gitops: GitOps) -> None:
    offered = gitops.lua(argocd.read()["actions/discovery"], BARE)
    assert {f"actions/{name}" for name in offered} | {"health", "actions/discovery"} == set(argocd.read())


def test_one_that_the_operator_has_not_seen_is_on_its_way_and_offers_nothing(gitops: GitOps) -> None:
    assert gitops.lua(argocd.read()["health"], BARE) == {
        "status": "Progressing",
        "message": "The operator has not looked at it yet",
    }
    assert all(each["disabled"] for each in gitops.lua(argocd.read()["actions/discovery"], BARE).values())


def _route(path: str, weight: int) -> Obj:
    backends = [{"name": "old", "weight": 100 - weight}, {"name": "new", "weight": weight}]
    return {"spec": {"rules": [{"matches": [{"path": path}], "backendRefs": backends}]}}


def test_ignoring_a_route_by_its_writer_would_hide_every_edit_of_its_rules(gitops: GitOps) -> None:
    live = _route("/", 50)
    fields = {"f:spec": {"f:rules": {}}}
    live["metadata"] = {"managedFields": [{"manager": "syncrollout", "operation": "Update", "fieldsV1": fields}]}
    edited = _route("/edited", 0)
    assert not gitops.heals(live, edited, managers=["syncrollout"]).differs
    assert gitops.heals(live, edited, expressions=_expressions(_HTTP_ROUTE)).differs


def test_what_else_git_says_of_rules_waits_until_a_sync_that_respects_nothing(gitops: GitOps) -> None:
    healed = gitops.heals(_route("/", 50), _route("/edited", 0), expressions=_expressions(_HTTP_ROUTE))
    assert healed.differs
    assert healed.applies["spec"] == _route("/", 50)["spec"]

"""`manifests/50-admission-policy.yaml` on a real API server: nobody writes another's name, nor approves unasked."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.policies import policy_of
from testbed import Cluster, KubeError, Obj
from testbed.served import until_served
from testbed.waiting import eventually

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
NAMESPACE = "policy"
API = "syncrollout.io/v1alpha1"
BY = "syncrollout.io/requested-by"
OPERATOR = "system:serviceaccount:syncrollout-system:syncrollout"
ARGOCD = "system:serviceaccount:argocd:application-controller"
KIM, SAM, MALLORY = ("kim", ""), ("sam", "leads"), ("mallory", "")
EVERYONE = (KIM, SAM, MALLORY, (OPERATOR, ""), (ARGOCD, ""))
Who = tuple[str, str]
SPEC: Obj = {
    "old": {"workload": {"kind": "Deployment", "name": "web-v1"}, "service": "web-v1"},
    "new": {"workload": {"kind": "Deployment", "name": "web-v2"}, "service": "web-v2"},
    "traffic": {"routes": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"}]},
    "phases": [
        {"name": "small", "weight": 10, "approval": "Required"},
        {"name": "half", "weight": 50, "approval": "Required", "approvers": {"groups": ["leads"]}},
        {"name": "full", "weight": 100},
    ],
    "approval": {"approvers": {"users": ["kim"], "groups": ["leads"]}},
    "approvals": [{"phase": "small", "by": "kim"}],
    "preflight": {
        "checks": [
            {"name": "on-call", "group": "Team", "attestation": {"text": "somebody is", "by": {"groups": ["leads"]}}},
            {"name": "docs", "group": "Documents", "attestation": {"text": "they are there"}},
        ]
    },
}


@pytest.fixture(scope="module")
def cluster(control_plane: Cluster) -> Iterator[Cluster]:
    """With the policy, of one namespace alone: other tests write names as they like."""
    kube = control_plane.kube
    kube.apply_yaml(ROOT / "crds" / "syncrollout.io_syncrollouts.yaml")
    until_served(kube, "syncrollouts.syncrollout.io")
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    rbac = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": ["syncrollout.io"], "resources": ["syncrollouts"], "verbs": ["get", "create", "patch"]}]
    meta = {"name": "people", "namespace": NAMESPACE}
    kube.create({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": rules})
    subjects = [{"apiGroup": rbac, "kind": "Group", "name": "system:authenticated"}]
    role = {"apiGroup": rbac, "kind": "Role", "name": "people"}
    bound = {"kind": "RoleBinding", "metadata": meta, "subjects": subjects, "roleRef": role}
    kube.create({"apiVersion": f"{rbac}/v1", **bound})
    try:
        with policy_of(control_plane, NAMESPACE, trusted=(ARGOCD,)):
            yield control_plane
    finally:
        kube.delete("v1", "Namespace", NAMESPACE)


def create(cluster: Cluster, who: Who, annotations: Obj, **spec: Any) -> Obj:
    """Creates a rollout as somebody, without storing it."""
    obj = {"apiVersion": API, "kind": "SyncRollout", "metadata": {"name": "new", "annotations": annotations}}
    path = f"/apis/{API}/namespaces/{NAMESPACE}/syncrollouts"
    body = obj | {"spec": SPEC | {"approvals": []} | spec}
    made: Obj = cluster.acting_as(*who).request("POST", path, body, query={"dryRun": "All"})
    return made


Write = Callable[..., None]


@pytest.fixture(scope="module")
def rollout(cluster: Cluster) -> str:
    """In flight, with what people have said before."""
    before = {
        BY: "kim",
        "syncrollout.io/override": "known",
        "syncrollout.io/report-1": "high by kim: gone",
        "team": "x",
    }
    meta = {"name": "web", "namespace": NAMESPACE, "annotations": before}
    trusted = cluster.acting_as(ARGOCD)
    trusted.create({"apiVersion": API, "kind": "SyncRollout", "metadata": meta, "spec": SPEC})
    path = f"/apis/{API}/namespaces/{NAMESPACE}/syncrollouts/web/status"
    state = {"inFlight": True, "state": "Progressing"}
    cluster.kube.request("PATCH", path, {"status": state}, content_type="application/merge-patch+json")
    return "web"


@pytest.fixture
def write(cluster: Cluster, rollout: str) -> Write:
    """Patches it as somebody, without storing that."""
    path = f"/apis/{API}/namespaces/{NAMESPACE}/syncrollouts/{rollout}"

    def patch(who: Who, annotations: Obj | None = None, **spec: Any) -> None:
        body: Obj = {"metadata": {"annotations": annotations or {}}} | ({"spec": spec} if spec else {})
        cluster.acting_as(*who).request(
            "PATCH", path, body, content_type="application/merge-patch+json", query={"dryRun": "All"}
        )

    return patch


def phases(change: Callable[[list[Obj]], object]) -> list[Obj]:
    """The phases, changed."""
    made = copy.deepcopy(SPEC["phases"])
    change(made)
    return list(made)


KEEPS = SPEC["approvals"]
ALLOWED: list[tuple[str, Who, Obj, Obj]] = [
    ("an approver", KIM, {"syncrollout.io/approve": "small: good", BY: "kim"}, {}),
    ("a member of a group", SAM, {"syncrollout.io/approve": " half : good", BY: "sam"}, {}),
    ("anybody's rollback", MALLORY, {"syncrollout.io/rollback": "it burns", BY: "mallory"}, {}),
    ("anybody's hold", MALLORY, {"syncrollout.io/hold": "wait", BY: "mallory"}, {}),
    ("who tidies up", MALLORY, {"syncrollout.io/override": None, BY: "mallory"}, {}),
    ("what is none of ours", MALLORY, {"team": "y", "syncrollout.example.com/approve": "half"}, {}),
    ("a report under the own name", MALLORY, {"syncrollout.io/report-2": "High by mallory: it burns: all of it"}, {}),
    ("a report without a name", MALLORY, {"syncrollout.io/report-2": "high: by and by it burns"}, {}),
    ("a report that goes", MALLORY, {"syncrollout.io/report-1": None}, {}),
    ("a check by a member", SAM, {"syncrollout.io/attest-on-call": "by sam: kim is"}, {}),
    ("a check by anybody", MALLORY, {"syncrollout.io/attest-docs": "by mallory: they are"}, {}),
    ("a check without a name", MALLORY, {"syncrollout.io/attest-docs": "they are, by all means"}, {}),
    ("an entry of an approver", SAM, {}, {"approvals": [*KEEPS, {"phase": "half", "by": "sam"}]}),
    ("one's own entry goes", KIM, {}, {"approvals": []}),
    ("an edit of something else", MALLORY, {}, {"suspend": True}),
    ("an approver's edit", SAM, {}, {"phases": phases(lambda p: p[1].update(approvers={"users": ["pat"]}))}),
    ("Git, in another's name", (ARGOCD, ""), {"syncrollout.io/approve": "half", BY: "sam"}, {}),
    ("Git, an entry", (ARGOCD, ""), {}, {"approvals": [{"phase": "half", "by": "sam"}]}),
    ("the operator", (OPERATOR, ""), {"syncrollout.io/anything": "x"}, {}),
    ("more to be approved", MALLORY, {}, {"phases": phases(lambda p: p[2].update(approval="Required"))}),
]
NAME, APPROVE, ENTRY = "to their own name in the same write", "may not approve phase", "an entry of spec.approvals is"
REPORT, CHECK, RULES = (
    "a report is signed with the own name",
    "a check is confirmed with the own name",
    "while a run is",
)
REFUSED: list[tuple[str, Who, Obj, Obj, str]] = [
    ("in another's name", MALLORY, {"syncrollout.io/rollback": "x", BY: "kim"}, {}, NAME),
    ("under the name that stands there", MALLORY, {"syncrollout.io/rollback": "x"}, {}, NAME),
    ("another name for what was asked", MALLORY, {BY: "mallory2"}, {}, NAME),
    ("without a name", MALLORY, {"syncrollout.io/rollback": "x", BY: None}, {}, NAME),
    ("another's hold away", MALLORY, {"syncrollout.io/override": None}, {}, NAME),
    ("approval by who may not", MALLORY, {"syncrollout.io/approve": "small: x", BY: "mallory"}, {}, APPROVE),
    ("in the name of who may", MALLORY, {"syncrollout.io/approve": "small: x", BY: "kim"}, {}, NAME),
    ("by an approver of another phase", KIM, {"syncrollout.io/approve": "half: x", BY: "kim"}, {}, APPROVE),
    ("of a phase that asks for none", KIM, {"syncrollout.io/approve": "full: x", BY: "kim"}, {}, APPROVE),
    (
        "by who lets himself in",
        MALLORY,
        {"syncrollout.io/approve": "small: x", BY: "mallory"},
        {"approval": {"approvers": {"users": ["mallory"]}}},
        APPROVE,
    ),
    ("an entry of somebody else", MALLORY, {}, {"approvals": [*KEEPS, {"phase": "half", "by": "sam"}]}, ENTRY),
    ("an entry by who may not", KIM, {}, {"approvals": [*KEEPS, {"phase": "half", "by": "kim"}]}, ENTRY),
    ("another's entry goes", MALLORY, {}, {"approvals": []}, ENTRY),
    ("another's entry changes", MALLORY, {}, {"approvals": [KEEPS[0] | {"reason": "x"}]}, ENTRY),
    ("a report in another's name", MALLORY, {"syncrollout.io/report-2": "high by kim: x"}, {}, REPORT),
    ("one that hides it", MALLORY, {"syncrollout.io/report-2": "high\u00a0BY\u200bkim: x"}, {}, REPORT),
    ("one that begins alike", MALLORY, {"syncrollout.io/report-2": "high by mallory:kim: x"}, {}, REPORT),
    ("another's report changes", MALLORY, {"syncrollout.io/report-1": "low by kim: x"}, {}, REPORT),
    ("a check in another's name", MALLORY, {"syncrollout.io/attest-docs": "by kim: x"}, {}, CHECK),
    ("a check by who may not", KIM, {"syncrollout.io/attest-on-call": "by kim: x"}, {}, CHECK),
    (
        "no approval any more",
        MALLORY,
        {},
        {"phases": phases(lambda p: p[0].update(approval="NotRequired"))},
        RULES,
    ),
    ("other approvers", KIM, {}, {"phases": phases(lambda p: p[1].update(approvers={"users": ["kim"]}))}, RULES),
    ("the phase goes", KIM, {}, {"phases": phases(lambda p: p.pop(1))}, RULES),
    ("others of all phases", MALLORY, {}, {"approval": {"approvers": {"users": ["mallory"]}}}, RULES),
]


@pytest.mark.parametrize(("who", "annotations", "spec"), [pytest.param(*case, id=name) for name, *case in ALLOWED])
def test_what_is_allowed(write: Write, who: Who, annotations: Obj, spec: Obj) -> None:
    write(who, annotations, **spec)


@pytest.mark.parametrize(
    ("who", "annotations", "spec", "said"), [pytest.param(*case, id=name) for name, *case in REFUSED]
)
def test_what_is_refused(write: Write, who: Who, annotations: Obj, spec: Obj, said: str) -> None:
    with pytest.raises(KubeError) as refused:
        write(who, annotations, **spec)
    assert refused.value.status == 403
    assert said in refused.value.message


def test_who_creates_a_rollout_says_things_under_the_own_name_too(cluster: Cluster) -> None:
    create(cluster, MALLORY, {"team": "x"})
    create(cluster, MALLORY, {"syncrollout.io/hold": "not yet", BY: "mallory"})
    create(cluster, (ARGOCD, ""), {"syncrollout.io/hold": "not yet", BY: "kim"})
    with pytest.raises(KubeError, match=NAME):
        create(cluster, MALLORY, {"syncrollout.io/hold": "not yet", BY: "kim"})
    with pytest.raises(KubeError, match=ENTRY):
        create(cluster, MALLORY, {}, approvals=[{"phase": "small", "by": "kim"}])


def test_an_api_server_finds_nothing_wrong_with_its_types(cluster: Cluster) -> None:
    api = "admissionregistration.k8s.io/v1"

    def checked() -> Obj | None:
        found = cluster.kube.get(api, "ValidatingAdmissionPolicy", f"syncrollout-people-{NAMESPACE}")
        status: Obj | None = (found.get("status") or {}).get("typeChecking")
        return status

    eventually(lambda: checked() is not None, what="the policy's types to be checked", timeout=60)
    assert (checked() or {}).get("expressionWarnings", []) == []

"""The operator's rights: what `manifests/` grants, and taking one of them away for a while."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from e2e.operators import NAMESPACE, USER
from e2e.scene import Stage
from testbed import Cluster, Obj
from testbed.waiting import eventually

RBAC = "rbac.authorization.k8s.io/v1"
ROLES = (("ClusterRole", "syncrollout-operator", ""), ("Role", "syncrollout-leader-election", NAMESPACE))


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource of a group; `resource` with its subresource after a slash."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}.{self.group}".rstrip(".")


def granted(cluster: Cluster) -> set[Right]:
    """All rights that the operator's two roles grant, as they stand at the API server."""
    return rights_of([rule for kind, name, at in ROLES for rule in cluster.kube.get(RBAC, kind, name, at)["rules"]])


def rights_of(rules: list[Obj]) -> set[Right]:
    """What these rules grant, of whichever objects."""
    return {
        Right(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@contextmanager
def without(stage: Stage, *rights: Right) -> Iterator[None]:
    """The operator lacks these rights inside the block; what it is refused meanwhile is no fault of `manifests/`."""
    kube = stage.cluster.kube
    began = time.time()
    before: list[Obj] = []
    try:
        for kind, name, namespace in ROLES:
            role = kube.get(RBAC, kind, name, namespace)
            before.append(role)
            rules = [each for rule in role["rules"] for each in _without(rule, rights)]
            kube.patch(RBAC, kind, name, namespace, {"rules": rules})
        for right in rights:
            eventually(lambda right=right: not _may(stage.cluster, right), what=f"{right} to be gone")  # type: ignore[misc]
        yield
    finally:
        for role in before:
            metadata = role["metadata"]
            kube.patch(RBAC, role["kind"], metadata["name"], metadata.get("namespace", ""), {"rules": role["rules"]})
        for right in rights:
            eventually(lambda right=right: _may(stage.cluster, right), what=f"{right} to be back")  # type: ignore[misc]
        stage.deprived.append((began, time.time()))


def _without(rule: Obj, rights: tuple[Right, ...]) -> Iterator[Obj]:
    """The rule, split so that none of the rights is in it."""
    for resource in rule["resources"]:
        one = copy.deepcopy(rule)
        one["resources"] = [resource]
        taken = {right.verb for right in rights if right.group in rule["apiGroups"] and right.resource == resource}
        one["verbs"] = [verb for verb in rule["verbs"] if verb not in taken]
        if one["verbs"]:
            yield one


def _may(cluster: Cluster, right: Right) -> bool:
    plain, _, sub = right.resource.partition("/")
    attributes = {"verb": right.verb, "group": right.group, "resource": plain, "subresource": sub}
    names = {"namespace": NAMESPACE, "name": "syncrollout"} if plain == "leases" else {"namespace": "default"}
    review = cluster.kube.create(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {"user": USER, "resourceAttributes": attributes | names},
        }
    )
    return bool(review["status"]["allowed"])

"""Accounts that rollouts are carried out as: ServiceAccounts with the rights that `manifests/` say they need."""

from __future__ import annotations

from e2e.scene import Scene
from testbed.waiting import eventually

RBAC = "rbac.authorization.k8s.io"
ROLE = "syncrollout-account"


class Account:
    """A ServiceAccount of a scene's namespace."""

    def __init__(self, scene: Scene, name: str = "mover") -> None:
        self._scene = scene
        self.name = name
        self.user = f"system:serviceaccount:{scene.namespace}:{name}"

    def create(self) -> Account:
        """It is there, and may do nothing."""
        metadata = {"name": self.name, "namespace": self._scene.namespace}
        self._scene.kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        return self

    def grant(self, role: str = ROLE) -> Account:
        """It may do what rollouts need, in the namespace."""
        self.bind(role)
        eventually(lambda: self.may("patch", "httproutes", "gateway.networking.k8s.io"), what="the account's rights")
        return self

    def bind(self, role: str) -> None:
        """Give it what a ClusterRole says, in the namespace."""
        subject = {"kind": "ServiceAccount", "name": self.name, "namespace": self._scene.namespace}
        self._scene.kube.apply(
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "RoleBinding",
                "metadata": {"name": self.name, "namespace": self._scene.namespace},
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
                "subjects": [subject],
            }
        )

    def bar(self) -> None:
        """It may do nothing any more."""
        self._scene.kube.delete(f"{RBAC}/v1", "RoleBinding", self.name, self._scene.namespace)
        eventually(lambda: not self.may("patch", "httproutes", "gateway.networking.k8s.io"), what="no rights")

    def may(self, verb: str, resource: str, group: str = "") -> bool:
        """Whether the API server would let it."""
        review = self._scene.kube.create(
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "metadata": {},
                "spec": {
                    "user": self.user,
                    "groups": ["system:serviceaccounts", f"system:serviceaccounts:{self._scene.namespace}"],
                    "resourceAttributes": {
                        "namespace": self._scene.namespace,
                        "verb": verb,
                        "resource": resource,
                        "group": group,
                    },
                },
            }
        )
        return bool(review["status"]["allowed"])

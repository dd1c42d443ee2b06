"""The admission policy of `manifests/`, for one namespace: the other tests of the cluster write names as they like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from testbed import Cluster, KubeError
from testbed.waiting import eventually

FILE = Path(__file__).parents[2] / "manifests" / "50-admission-policy.yaml"
REFUSES = "to their own name in the same write"
_PROBE = {
    "apiVersion": "syncrollout.io/v1alpha1",
    "kind": "SyncRollout",
    "metadata": {"name": "probe", "annotations": {"syncrollout.io/hold": "x"}},
    "spec": {
        "old": {"workload": {"kind": "Deployment", "name": "a"}, "service": "a"},
        "new": {"workload": {"kind": "Deployment", "name": "b"}, "service": "b"},
        "traffic": {"routes": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "a"}]},
        "phases": [{"name": "all", "weight": 100}],
    },
}


@contextmanager
def policy_of(cluster: Cluster, namespace: str, *, trusted: Sequence[str] = ()) -> Iterator[None]:
    """It holds there inside the block; `trusted`: users who write what others have said."""
    kube = cluster.kube
    policy, binding = yaml.safe_load_all(FILE.read_text())
    conditions = {each["name"]: each for each in policy["spec"]["matchConditions"]}
    names = ", ".join(f"'{name}'" for name in trusted)
    condition = conditions["not-a-trusted-user"]
    condition["expression"] = condition["expression"].replace("[]", f"[{names}]")
    for each in (policy, binding):
        each["metadata"]["name"] += f"-{namespace}"
    binding["spec"]["policyName"] = policy["metadata"]["name"]
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    binding["spec"]["matchResources"] = {"namespaceSelector": here}
    try:
        for each in (policy, binding):
            kube.create(each)
        eventually(lambda: _refuses(cluster, namespace), what="the policy to be obeyed", timeout=30)
        yield
    finally:
        for each in (binding, policy):
            kube.delete(each["apiVersion"], each["kind"], each["metadata"]["name"])


def _refuses(cluster: Cluster, namespace: str) -> bool:
    path = f"/apis/syncrollout.io/v1alpha1/namespaces/{namespace}/syncrollouts"
    try:
        cluster.kube.request("POST", path, _PROBE, query={"dryRun": "All"})
    except KubeError as error:
        if REFUSES not in error.message:
            raise
        return True
    return False


__all__ = ["REFUSES", "policy_of"]

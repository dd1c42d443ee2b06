"""The CRD is never older than the release that brings it, outlives it, and an operator above an older one says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from realnode.older_chart import CHART, NEWER, knows_the_newer_field, older_chart
from syncrollout.api.installed import Match
from syncrollout.ports import KindRef, ObjectRef, PatchType
from syncrollout.runtime.crd import InstalledCrd
from syncrollout.runtime.kube import AiohttpKubeApi
from syncrollout.runtime.kubeconfig import Connection
from testbed import Cluster

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
KIND = KindRef("syncrollout.io/v1alpha1", "SyncRollout")
NAMESPACE = "crd-upgrade"


@pytest.fixture
def cluster(served: Cluster) -> Iterator[Cluster]:
    """One that has the CRD as kubectl has applied it, before and after."""
    if served.lasting:
        pytest.skip("the CRD of a cluster that lasts is not made older")
    yield served
    served.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))


async def _write(cluster: Cluster, name: str) -> Match:
    """Write the newer field into a status, as the operator does; and what the operator says of the CRD."""
    said: list[Match | None] = []
    async with AiohttpKubeApi(Connection.load(str(cluster.kubeconfig)), user_agent="crd") as api:
        ref = ObjectRef(KIND, NAMESPACE, name)
        await api.patch(ref, {"status": {NEWER: "1", "state": "Pending"}}, PatchType.MERGE, subresource="status")
        look = InstalledCrd(api, every=60, observe=said.append)
        await look.look()
    [match] = said
    assert match is not None
    return match


async def test_the_crd_comes_with_the_release_and_outlives_it(
    cluster: Cluster,
    helm: Callable[..., Any],
    tmp_path: Path,
) -> None:
    kube = cluster.kube
    rollout = yaml.safe_load((ROOT / "manifests" / "examples" / "minimal.yaml").read_text())
    rollout["metadata"]["namespace"] = NAMESPACE
    name = rollout["metadata"]["name"]

    def run(*arguments: str, check: bool = True) -> Any:
        return helm(*arguments, "--kubeconfig", cluster.kubeconfig, "-n", NAMESPACE, check=check)

    def status() -> Any:
        return kube.get(KIND.api_version, KIND.kind, name, NAMESPACE).get("status") or {}

    older = str(older_chart(tmp_path))
    values = ["--set", "admissionPolicy.enabled=false,rbac.people=false,fullnameOverride=crd-upgrade"]
    taken = run("install", "sync", older, "--create-namespace", *values, check=False)
    assert taken.returncode != 0, "what kubectl has applied is not taken over in silence"
    assert "syncrollouts.syncrollout.io" in taken.stderr
    run("install", "sync", older, "--create-namespace", *values, "--take-ownership", "--force-conflicts")
    assert not knows_the_newer_field(kube)
    kube.create(rollout)

    assert await _write(cluster, name) is Match.OLDER
    assert NEWER not in status(), "this is what makes an old CRD bad"

    run("upgrade", "sync", str(CHART), *values)
    assert knows_the_newer_field(kube)
    await _write(cluster, name)
    assert status()[NEWER] == "1"

    run("rollback", "sync", "1")
    assert not knows_the_newer_field(kube)
    run("uninstall", "sync")
    assert status()["state"], "neither the CRD nor what it is of goes with the release"
    run("install", "sync", str(CHART), *values)
    assert knows_the_newer_field(kube), "what is left of a release is brought up to date by the next of its name"
    run("uninstall", "sync")
    kube.delete(KIND.api_version, KIND.kind, name, NAMESPACE)

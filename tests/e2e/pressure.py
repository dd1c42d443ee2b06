"""What troubles an API server, for real: priority and fairness that rejects, webhooks that hang, a full etcd."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from e2e.operators import ACCOUNT, NAMESPACE, USER
from e2e.scene import Stage
from testbed import Obj
from testbed.errors import NotHere
from testbed.kube import KubeError
from testbed.waiting import eventually

FLOW: Final = "flowcontrol.apiserver.k8s.io/v1"
WEBHOOKS: Final = ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
FLOOD: Final = "somebody-who-floods"
FILLER: Final = 1_000_000
"""Bytes of what fills etcd, a ConfigMap each."""


# ---- priority and fairness ---------------------------------------------------------------------------------------


@contextmanager
def rejected(stage: Stage, namespace: str, group: str, resource: str) -> Iterator[None]:
    """Priority and fairness rejects (429) what the operator patches of this resource: it shares a level of one seat
    with somebody whose request takes that for as long as this lasts."""
    kube = stage.cluster.kube
    operator = {"kind": "ServiceAccount", "serviceAccount": {"name": ACCOUNT, "namespace": NAMESPACE}}
    flood = {"kind": "User", "user": {"name": FLOOD}}
    level: Obj = {
        "apiVersion": FLOW,
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": "full"},
        "spec": {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 0,  # one at a time gets through all the same
                "lendablePercent": 0,
                "borrowingLimitPercent": 0,
                "limitResponse": {"type": "Reject"},
            },
        },
    }
    schema: Obj = {
        "apiVersion": FLOW,
        "kind": "FlowSchema",
        "metadata": {"name": "full"},
        "spec": {
            "priorityLevelConfiguration": {"name": "full"},
            "matchingPrecedence": 10,
            "rules": [
                {"subjects": [operator], "resourceRules": [_rule(group, resource, "patch")]},
                {"subjects": [flood], "resourceRules": [_rule("", "configmaps", "create")]},
            ],
        },
    }
    with contextlib.ExitStack() as undo:
        undo.callback(kube.delete, FLOW, "PriorityLevelConfiguration", "full")
        undo.callback(kube.delete, FLOW, "FlowSchema", "full")
        kube.apply(level)
        kube.apply(schema)
        kube.apply(_may_edit(namespace))
        undo.enter_context(
            hanging_webhook(stage, namespace, "", "configmaps", operations=["CREATE"], timeoutSeconds=30)
        )
        over = threading.Event()
        taking = threading.Thread(target=_take_seat, args=(stage, namespace, over), name="flood", daemon=True)
        taking.start()
        undo.callback(over.set)
        eventually(lambda: _rejects(stage, group, resource), what="the level to be full")
        yield


def _rule(group: str, resource: str, verb: str) -> Obj:
    return {"apiGroups": [group], "resources": [resource], "verbs": [verb], "namespaces": ["*"]}


def _may_edit(namespace: str) -> Obj:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "flood", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": FLOOD}],
    }


def _take_seat(stage: Stage, namespace: str, over: threading.Event) -> None:
    """One request after another, until the webhook holds one up; it ends with the webhook's connection."""
    client = stage.cluster.acting_as(FLOOD)
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    while not over.wait(0.05):
        with contextlib.suppress(KubeError, OSError):
            client.request("POST", path, {"metadata": {"generateName": "flood-"}}, query={"dryRun": "All"}, timeout=40)
    client.close()


def _rejects(stage: Stage, group: str, resource: str) -> bool:
    """Whether a patch of the operator's, of an object that is not there, is rejected before anybody looks for it."""
    plain, _, sub = resource.partition("/")
    version = "v1alpha1" if group == "syncrollout.io" else "v1"
    path = f"/apis/{group}/{version}/namespaces/default/{plain}/none" + (f"/{sub}" if sub else "")
    try:
        stage.cluster.acting_as(USER).request("PATCH", path, {}, content_type="application/merge-patch+json")
    except KubeError as error:
        return error.status == 429
    return False


def flow_schema_of(stage: Stage, token: str, path: str) -> str:
    """The uid of the FlowSchema by which the API server classifies a request of whoever has this token."""
    server = urlsplit(stage.cluster.server)
    context = ssl.create_default_context(cafile=str(stage.cluster.ca_file))
    connection = http.client.HTTPSConnection(str(server.hostname), server.port, timeout=10, context=context)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        return str(answer.getheader("X-Kubernetes-PF-FlowSchema-UID"))


# ---- webhooks ----------------------------------------------------------------------------------------------------


@contextmanager
def hanging_webhook(
    stage: Stage, namespace: str, group: str, resource: str, *, operations: Sequence[str] = ("UPDATE",), **settings: Any
) -> Iterator[str]:
    """A webhook of somebody else, asked about every change of this resource in one namespace, that accepts connections
    and says nothing. Its name."""
    kube = stage.cluster.kube
    name = f"{resource.replace('/', '-')}.somebody-else.example"
    rule = {"apiGroups": [group], "apiVersions": ["*"], "operations": list(operations), "resources": [resource]}
    with _silent() as port:
        webhook = {
            "name": name,
            "clientConfig": {"url": f"https://127.0.0.1:{port}/validate"},
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **settings,
        }
        made = {"apiVersion": WEBHOOKS[0], "kind": WEBHOOKS[1], "metadata": {"name": name}, "webhooks": [webhook]}
        try:
            kube.apply(made)
            yield name
        finally:
            kube.delete(*WEBHOOKS, name)


@contextmanager
def _silent() -> Iterator[int]:
    """A port that accepts connections and never says anything."""
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    kept.append(listening.accept()[0])

        thread = threading.Thread(target=accept, name="silent webhook", daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for each in kept:
                each.close()


# ---- etcd --------------------------------------------------------------------------------------------------------


@contextmanager
def full_etcd(stage: Stage) -> Iterator[None]:
    """etcd has no space left and has raised its alarm; at the end a person makes room and ends the alarm, in the way of
    docs/runbook/api-server-pressure.md."""
    cluster = stage.cluster
    if cluster.lasting:
        raise NotHere("etcd can be filled on the testbed's own control plane only")
    kube, etcd = cluster.kube, cluster.etcd
    etcd.compact()
    etcd.defragment()
    cluster.restart_etcd(quota=etcd.size + 2 * FILLER)
    fillers = 0
    try:
        while not etcd.alarms:
            filler = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"filler-{fillers}", "namespace": "default"},
            }
            fillers += 1
            with contextlib.suppress(KubeError):
                kube.create({**filler, "data": {"much": "x" * FILLER}})
        yield
    finally:
        for number in range(fillers):
            kube.delete("v1", "ConfigMap", f"filler-{number}", "default")
        etcd.compact()
        etcd.defragment()
        etcd.disarm()
        cluster.restart_etcd()  # with room again for all that comes after


__all__ = ["flow_schema_of", "full_etcd", "hanging_webhook", "rejected"]

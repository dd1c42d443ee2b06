"""The testbed: the real parts that tests, demo and benchmarks of this project run on.

A real control plane (etcd, API server, controllers, scheduler; no kubelet), fake nodes and pods (KWOK),
a real Prometheus, and a real proxy that obeys the Gateway API (Contour and Envoy). No container engine
and no root needed; Linux. `python -m testbed.build` gets the programs; from then on no network is used.

    from testbed import Backend, Exporter, Testbed, kwok

    with Testbed(parts=("kwok", "prometheus", "dataplane")) as t, Exporter() as exporter:
        namespace = t.new_namespace("demo")
        t.kube.create(kwok.deployment("web", namespace, replicas=2))
        t.prometheus.set_targets([exporter.target])
        exporter.set("errors", 0.01, workload="web")
        with Backend("web", "10.200.0.1", 9000, run_dir=t.run_dir):
            t.data_plane.add_backend("web", namespace, "10.200.0.1", 9000)
            t.data_plane.add_route("web", namespace, "web.example", {"web": 1})
            print(t.data_plane.wait_for_split("web.example", {"web"}))

Entering a Testbed moves the process into a network namespace of its own: see `netns.py` for what that
means. Each part can also be used alone: `ControlPlane`, `Kwok`, `Prometheus`, `DataPlane` are context
managers. Everything raises TestbedError with a sentence for a person. Nothing here imports pytest; the
fixtures stand in tests/conftest.py.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.alertmanager import Alertmanager
    from testbed.audit import AuditEvent, AuditLog
    from testbed.backend import Backend
    from testbed.bed import Testbed
    from testbed.cluster import Cluster, KubectlFailed
    from testbed.controlplane import ControlPlane
    from testbed.dataplane import DataPlane
    from testbed.errors import BuildFailed, NamespaceForbidden, NotHere, ProcessDied, TestbedError, TimedOut
    from testbed.exporter import Exporter
    from testbed.gitops import GitOps
    from testbed.kube import Kube, KubeError, Obj
    from testbed.kwok import Kwok
    from testbed.load import LoadGenerator
    from testbed.process import Process
    from testbed.prometheus import Prometheus
    from testbed.waiting import eventually

__all__ = [
    "Alertmanager",
    "AuditEvent",
    "AuditLog",
    "Backend",
    "BuildFailed",
    "Cluster",
    "ControlPlane",
    "DataPlane",
    "Exporter",
    "GitOps",
    "Kube",
    "KubeError",
    "KubectlFailed",
    "Kwok",
    "LoadGenerator",
    "NamespaceForbidden",
    "NotHere",
    "Obj",
    "Process",
    "ProcessDied",
    "Prometheus",
    "Testbed",
    "TestbedError",
    "TimedOut",
    "eventually",
]

# Loaded when first asked for: `python -m testbed.backend` and the like need next to nothing of this.
_HOME = {
    "Alertmanager": "alertmanager",
    "AuditEvent": "audit",
    "AuditLog": "audit",
    "Backend": "backend",
    "BuildFailed": "errors",
    "Cluster": "cluster",
    "ControlPlane": "controlplane",
    "DataPlane": "dataplane",
    "Exporter": "exporter",
    "GitOps": "gitops",
    "Kube": "kube",
    "KubeError": "kube",
    "KubectlFailed": "cluster",
    "Kwok": "kwok",
    "LoadGenerator": "load",
    "NamespaceForbidden": "errors",
    "NotHere": "errors",
    "Obj": "kube",
    "Process": "process",
    "ProcessDied": "errors",
    "Prometheus": "prometheus",
    "Testbed": "bed",
    "TestbedError": "errors",
    "TimedOut": "errors",
    "eventually": "waiting",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = found
    return found

"""What the fake nodes and pods do under KWOK: its Stage objects, generated.

A stage is "when an object looks like this, patch its status to that". Traps that shaped this file:
- podIP may be given only once. A later patch with another one is refused by the API server and KWOK
  says so only in its log, so the whole stage silently has no effect.
- Lists in a status are merged by key: a container that goes from waiting to running keeps `waiting`
  unless it is set to null.
- Without any stage KWOK does nothing at all ("no stages found").
- Conditions other than the kubelet's own four are left to whoever sets them (readiness gates).
"""

from __future__ import annotations

from typing import Any

import yaml

PREFIX = "testbed.syncrollout.io"
MODE_KEY = f"{PREFIX}/mode"
READY_AFTER_KEY = f"{PREFIX}/ready-after"
COMPLETE_AFTER_KEY = f"{PREFIX}/complete-after"

_MODE = f'.metadata.annotations["{MODE_KEY}"]'
_PHASE = ".status.phase"
_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_WAITING = ".status.containerStatuses.[].state.waiting.reason"
_OWNER = ".metadata.ownerReferences.[].kind"
_DELETED = ".metadata.deletionTimestamp"

_NODE_INFO = (
    "architecture",
    "bootID",
    "containerRuntimeVersion",
    "kernelVersion",
    "kubeProxyVersion",
    "kubeletVersion",
    "machineID",
    "operatingSystem",
    "osImage",
    "systemUUID",
)

Expression = dict[str, Any]


def generate() -> str:
    """The configuration file for `kwok --config`."""
    alive = _absent(_DELETED)
    unfinished = _among(_PHASE, "Pending", "Running")
    normal = _absent(_MODE)
    documents = [
        {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokConfiguration",
            "options": {"podPlayStageParallelism": 16, "nodePlayStageParallelism": 4, "nodeLeaseParallelism": 4},
        },
        _node("node-ready", [normal, _not_among(_READY, "True")], ready=True),
        _node("node-not-ready", [_among(_MODE, "not-ready"), _not_among(_READY, "False")], ready=False),
        _pod(
            "pod-ready",
            [alive, normal, unfinished, _not_among(_READY, "True")],
            _status("Running", ready=True, state=_RUNNING),
            after=READY_AFTER_KEY,
        ),
        _pod(
            "pod-not-ready",
            [alive, _among(_MODE, "not-ready"), unfinished, _not_among(_READY, "False")],
            _status("Running", ready=False, state=_RUNNING),
        ),
        _pod(
            "pod-crash",
            [alive, _among(_MODE, "crash"), unfinished, _not_among(_WAITING, "CrashLoopBackOff")],
            _status("Running", ready=False, state=_CRASHING, restarts=3),
        ),
        _pod(
            "pod-failed",
            [alive, _among(_MODE, "failed"), unfinished],
            _status("Failed", ready=False, state=_ended(1, "Error")),
        ),
        _pod(
            "pod-complete",
            [alive, normal, _among(_OWNER, "Job"), _among(_PHASE, "Running"), _among(_READY, "True")],
            _status("Succeeded", ready=False, state=_ended(0, "Completed")),
            after=COMPLETE_AFTER_KEY,
        ),
        _deletion(),
    ]
    return yaml.safe_dump_all(documents, sort_keys=False, width=1000)


# -- selectors


def _present(key: str) -> Expression:
    return {"key": key, "operator": "Exists"}


def _absent(key: str) -> Expression:
    return {"key": key, "operator": "DoesNotExist"}


def _among(key: str, *values: str) -> Expression:
    return {"key": key, "operator": "In", "values": list(values)}


def _not_among(key: str, *values: str) -> Expression:
    return {"key": key, "operator": "NotIn", "values": list(values)}


# -- stages


def _stage(name: str, kind: str, when: list[Expression]) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {"resourceRef": {"apiGroup": "v1", "kind": kind}, "selector": {"matchExpressions": when}},
    }


def _pod(name: str, when: list[Expression], status: str, after: str = "") -> dict[str, Any]:
    stage = _stage(name, "Pod", when)
    if after:
        delay = {"expressionFrom": f'.metadata.annotations["{after}"]'}
        stage["spec"]["delay"] = {"durationMilliseconds": 0, "durationFrom": delay}
    stage["spec"]["next"] = {"statusTemplate": status}
    return stage


def _deletion() -> dict[str, Any]:
    stage = _stage("pod-delete", "Pod", [_present(_DELETED)])
    stage["spec"]["next"] = {"delete": True}
    return stage


def _node(name: str, when: list[Expression], *, ready: bool) -> dict[str, Any]:
    word, reason = ("True", "KubeletReady") if ready else ("False", "KubeletNotReady")
    capacity = '{cpu: "1000", memory: 4Ti, pods: "5000"}'
    stage = _stage(name, "Node", when)
    stage["spec"]["next"] = {
        "statusTemplate": f"""\
{{{{ $now := Now }}}}
phase: Running
conditions:
- type: Ready
  status: "{word}"
  reason: {reason}
  message: simulated by the testbed
  lastHeartbeatTime: {{{{ $now | Quote }}}}
  lastTransitionTime: {{{{ $now | Quote }}}}
addresses:
- {{type: InternalIP, address: {{{{ NodeIP | Quote }}}}}}
- {{type: Hostname, address: {{{{ NodeName | Quote }}}}}}
allocatable: {capacity}
capacity: {capacity}
nodeInfo: {{{", ".join(f'{key}: "fake"' for key in _NODE_INFO)}}}
"""
    }
    return stage


_RUNNING = "{running: {startedAt: {{ $now | Quote }}}, waiting: null, terminated: null}"
_CRASHING = (
    "{waiting: {reason: CrashLoopBackOff, message: back-off 40s restarting failed container}, "
    "running: null, terminated: null}"
)


def _ended(code: int, reason: str) -> str:
    times = "startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}"
    return f"{{terminated: {{exitCode: {code}, reason: {reason}, {times}}}, running: null, waiting: null}}"


def _status(phase: str, *, ready: bool, state: str, restarts: int = 0) -> str:
    word = "true" if ready else "false"
    reason = "" if ready else ", reason: ContainersNotReady"
    if phase == "Succeeded":
        reason = ", reason: PodCompleted"
    conditions = "".join(
        f'- {{type: {kind}, status: "{value}", lastTransitionTime: {{{{ $now | Quote }}}}{why}}}\n'
        for kind, value, why in (
            ("Initialized", "True", ""),
            ("PodReadyToStartContainers", "True", ""),
            ("ContainersReady", word.title(), reason),
            ("Ready", word.title(), reason),
        )
    )
    return f"""\
{{{{ $now := Now }}}}
phase: {phase}
conditions:
{conditions}containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: {{{{ .image | Quote }}}}
  ready: {word}
  started: {word}
  restartCount: {restarts}
  state: {state}
{{{{ end }}}}
{{{{ if not .status.startTime }}}}
startTime: {{{{ $now | Quote }}}}
{{{{ end }}}}
{_ADDRESSES}"""


_ADDRESSES = """\
{{ if not .status.podIP }}
{{ with NodeIPsWith .spec.nodeName }}
hostIP: {{ index . 0 | Quote }}
hostIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ $uid := or .metadata.uid "" }}
{{ with PodIPsWith .spec.nodeName ( or .spec.hostNetwork false ) $uid .metadata.name .metadata.namespace }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ end }}
"""

"""Rules and dashboards as files, and as the objects of a cluster. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from syncrollout.api.spec import Dashboards, RulesAs
from syncrollout.api.words import ROLLOUT_LABEL
from syncrollout.monitoring import MonitoringError, Subject
from syncrollout.monitoring.dashboards import KEYS, dashboards
from syncrollout.monitoring.rules import rules_file

Object = dict[str, Any]
RULES_KEY: Final = "rules.yaml"
"""The key of a ConfigMap under which its rules stand."""
FOLDER_ANNOTATION: Final = "grafana_folder"
"""The annotation by which Grafana's sidecar chooses a folder, where it is told to."""
LARGEST: Final = 900_000
"""Bytes of an object's content: the API server takes no more than a MiB of the whole."""
_KINDS: Final = {
    RulesAs.PROMETHEUS_RULE: ("monitoring.coreos.com/v1", "PrometheusRule"),
    RulesAs.CONFIG_MAP: ("v1", "ConfigMap"),
}


_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""By libyaml, where there is one: many times as fast, and the operator has no time to lose."""


def rules_text(subject: Subject) -> str:
    """The rules file as YAML. Raises MonitoringError."""
    return yaml.dump(rules_file(subject), Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=1_000_000)


def rules_object(subject: Subject, form: RulesAs) -> Object:
    """The rules as an object of this form. Raises MonitoringError."""
    api_version, kind = _KINDS[form]
    if form is RulesAs.PROMETHEUS_RULE:
        content = {"spec": rules_file(subject)}
        text = json.dumps(content)
    else:
        text = rules_text(subject)
        content = {"data": {RULES_KEY: text}}
    _fits(text, "spec.monitoring.alerts", "name fewer of them, or shorten summaries and queries")
    metadata = _metadata(subject, f"{subject.name}-alerts", subject.monitoring.rules.labels)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


Place = tuple[str, str, str]
"""apiVersion, kind and name of an object."""


def places(name: str) -> tuple[Place, ...]:
    """All objects that a rollout of this name may have."""
    boards = (("v1", "ConfigMap", f"{name}-dashboard-{key}") for key in KEYS)
    return (*((*kind, f"{name}-alerts") for kind in _KINDS.values()), *boards)


def place(obj: Object) -> Place:
    """Which one it is."""
    return obj["apiVersion"], obj["kind"], obj["metadata"]["name"]


def wanted(subject: Subject, *, served: bool) -> Iterator[Object]:
    """The objects that the spec asks for, each when it is asked for, since making one takes milliseconds; `served` says
    whether the cluster has PrometheusRules. Raises MonitoringError."""
    asked = subject.monitoring
    form = asked.rules.applied
    if form is RulesAs.PROMETHEUS_RULE and not served:
        form = RulesAs.CONFIG_MAP
    if asked.alerts and form is not RulesAs.FILE:
        yield rules_object(subject, form)
    if asked.dashboards is not None:
        yield from dashboard_objects(subject)


def emptied(obj: Object) -> Object:
    """The object as it stands once nothing is asked for by it any more: there, for the operator deletes nothing, but
    without rules, dashboards, and the labels that they are found by."""
    api_version, kind, name = place(obj)
    labels = {ROLLOUT_LABEL: (obj["metadata"].get("labels") or {}).get(ROLLOUT_LABEL, "")}
    content: Object = {"spec": {"groups": []}} if kind == "PrometheusRule" else {"data": {}}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": labels}, **content}


def dashboard_files(subject: Subject) -> dict[str, str]:
    """The dashboards as JSON, by file name. Raises MonitoringError."""
    return {
        f"{subject.name}-{key}.json": json.dumps(each, indent=1) + "\n" for key, each in dashboards(subject).items()
    }


def dashboard_objects(subject: Subject) -> list[Object]:
    """A ConfigMap for each dashboard. Raises MonitoringError."""
    asked = subject.monitoring.dashboards or Dashboards()
    found: list[Object] = []
    for key, each in dashboards(subject).items():
        text = json.dumps(each, separators=(",", ":"), ensure_ascii=False)
        text = _fits(text, f"the dashboard {key} of spec.metrics", "name fewer metrics, or shorten their queries")
        # Grafana's sidecar writes all files into one folder, whatever namespace they come from.
        file = f"syncrollout-{subject.namespace}-{subject.name}-{key}.json"
        metadata = _metadata(subject, f"{subject.name}-dashboard-{key}", asked.labels)
        if asked.folder:
            metadata["annotations"] = {FOLDER_ANNOTATION: asked.folder}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {file: text}})
    return found


def _metadata(subject: Subject, name: str, labels: Mapping[str, str]) -> Object:
    return {"name": name, "namespace": subject.namespace, "labels": {**labels, ROLLOUT_LABEL: subject.name}}


def _fits(text: str, what: str, mend: str) -> str:
    size = len(text.encode())
    if size > LARGEST:
        raise MonitoringError(f"{what} comes to {size} bytes, and an object holds {LARGEST}: {mend}")
    return text


__all__ = [
    "FOLDER_ANNOTATION",
    "LARGEST",
    "RULES_KEY",
    "Object",
    "Place",
    "dashboard_files",
    "dashboard_objects",
    "emptied",
    "place",
    "places",
    "rules_object",
    "rules_text",
    "wanted",
]

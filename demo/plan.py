"""The manifests that the demo applies, as a person wrote them, and what the demo must know of the plan in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from syncrollout.api.spec import Metric, SyncRolloutSpec

Obj = dict[str, Any]
MANIFESTS = Path(__file__).parent / "manifests"
REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Plan:
    """The rollout of ``manifests/rollout.yaml`` with everything around it."""

    systems: tuple[Obj, ...]
    route: Obj
    rollout: Obj
    spec: SyncRolloutSpec

    @property
    def namespace(self) -> str:
        return str(self.rollout["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.rollout["metadata"]["name"])

    @property
    def host(self) -> str:
        """The host name that requests ask the proxy for."""
        return str(self.route["spec"]["hostnames"][0])

    @property
    def deployments(self) -> dict[str, str]:
        """``old`` and ``new`` -> the name of the Deployment (and of its Service)."""
        return {"old": self.spec.old.workload.name, "new": self.spec.new.workload.name}

    @property
    def config_map(self) -> str:
        """The ConfigMap that says which items are whose."""
        if self.spec.traffic.shards is None:
            raise ValueError(f"{MANIFESTS / 'rollout.yaml'} has no traffic.shards: the demo moves items as well")
        return self.spec.traffic.shards.config_map

    def query(self, metric: Metric, version: str) -> str:
        """The PromQL that the operator asks for this metric of ``old`` or ``new``, as one expression."""
        if metric.ratio is not None:
            factor = "100 * " if metric.unit == "percent" else ""
            text = f"{factor}({metric.ratio.of}) / ({metric.ratio.over})"
        else:
            text = metric.query or ""
        workload = self.deployments[version]
        fill = {
            "$workload": workload,
            "$service": workload,
            "$namespace": self.namespace,
            "$window": f"{metric.window or 0:g}s",
        }
        for name, value in fill.items():
            text = text.replace(name, value)
        return text


def load_plan(prometheus: str) -> Plan:
    """Reads the manifests; ``prometheus`` is the base URL that stands in for the one written there."""
    systems = read_manifests(MANIFESTS / "systems.yaml")
    (route,) = read_manifests(MANIFESTS / "route.yaml")
    (rollout,) = read_manifests(MANIFESTS / "rollout.yaml")
    rollout["spec"]["prometheus"]["address"] = prometheus
    return Plan(tuple(systems), route, rollout, SyncRolloutSpec.model_validate(rollout["spec"]))


def read_manifests(path: Path) -> list[Obj]:
    """All objects of a YAML file."""
    return [obj for obj in yaml.safe_load_all(path.read_text(encoding="utf-8")) if obj]

"""Alerting rules and dashboards, made of a SyncRollout's metrics. Pure: from a spec to what Prometheus, the Prometheus
Operator and Grafana read. The operator applies it (`act.monitoring`), the kubectl plugin writes it to files.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncrollout.api.spec import Monitoring, SyncRolloutSpec


class MonitoringError(ValueError):
    """What is asked for cannot be made. The message names the field and the mend."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The rollout that is looked at."""

    namespace: str
    name: str
    spec: SyncRolloutSpec

    @property
    def monitoring(self) -> Monitoring:
        """What is asked for; nothing, where the spec says nothing of it."""
        return self.spec.monitoring or Monitoring()


__all__ = ["MonitoringError", "Subject"]

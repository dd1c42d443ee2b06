"""What the operator says of itself: ready or not, and the verdicts of its last pass.

The status of a rollout is written at transitions and once a minute, so that a reading alone costs no write; the
operator's own metrics are as fresh as its last pass.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Verdicts = dict[tuple[str, str], str]
"""(role, metric) -> Pass, Unknown or Fail."""
_WORDS = {1.0: "Pass", 0.0: "Unknown", -1.0: "Fail"}
_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class OperatorPort:
    """The operator's port for health and metrics, on 127.0.0.1."""

    port: int

    def ready(self) -> bool:
        try:
            return self._get("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def verdicts(self, namespace: str, name: str) -> Verdicts:
        """Of one rollout; empty where the operator cannot be asked just now."""
        try:
            status, text = self._get("/metrics")
        except (OSError, http.client.HTTPException):
            return {}
        return parse_verdicts(text, namespace, name) if status == 200 else {}

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


def parse_verdicts(text: str, namespace: str, name: str) -> Verdicts:
    """The verdicts of one rollout in the operator's metrics."""
    found: Verdicts = {}
    for family in text_string_to_metric_families(text):
        if family.name != "syncrollout_criterion_verdict":
            continue
        for sample in family.samples:
            labels = sample.labels
            if (labels["namespace"], labels["name"]) == (namespace, name):
                found[labels["role"], labels["metric"]] = _WORDS[sample.value]
    return found

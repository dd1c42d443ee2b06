"""The run's own client of the API server, which does not give up where a crowded machine lets an answer wait."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from testbed.kube import Kube

TRIES = 5
PATIENCE = 30.0
"""Seconds that one try may take."""


class PatientKube(Kube):
    """Asks again where no answer came. What was done all the same is then refused as done already (KubeError)."""

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        timeout: float = PATIENCE,
    ) -> Any:
        """See Kube."""
        for left in reversed(range(TRIES)):
            try:
                return super().request(method, path, body, content_type=content_type, query=query, timeout=timeout)
            except OSError:
                if not left:
                    raise
                time.sleep(1.0)
        raise AssertionError("unreachable")

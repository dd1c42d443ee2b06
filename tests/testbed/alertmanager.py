"""A real Alertmanager on a loopback port, which posts what fires to one webhook."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import yaml

from testbed import build
from testbed.errors import TestbedError
from testbed.ports import free_port
from testbed.process import Process

Labels = Mapping[str, str]


class Alertmanager:
    """`with Alertmanager(run_dir, url=..., token_file=...) as a: a.fire({"alertname": "Loss"})`; ready in about 1 s.

    Each alert is a group of its own and is told at once; it is repeated every second while it fires.
    """

    def __init__(
        self, run_dir: Path, *, url: str, token_file: Path, ca_file: Path | None = None, name: str = "alertmanager"
    ) -> None:
        """`ca_file`: whom to trust where the webhook is reached by TLS."""
        self.run_dir = run_dir / name
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        (self.run_dir / "alertmanager.yaml").write_text(yaml.safe_dump(_config(url, token_file, ca_file)))
        self.process = Process(
            name,
            [
                build.program("alertmanager"),
                "--config.file=alertmanager.yaml",
                "--storage.path=data",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--cluster.listen-address=",
                "--log.level=debug",
            ],
            run_dir=self.run_dir,
            cwd=self.run_dir,
        )

    def start(self) -> Self:
        """Start it, and wait until it is ready."""
        self.process.start(self._ready)
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def fire(self, *alerts: Labels, annotations: Labels | None = None) -> None:
        """These alerts fire, until they are resolved or an hour has passed."""
        self._post(alerts, annotations or {}, timedelta(hours=1))

    def resolve(self, *alerts: Labels) -> None:
        """They do no longer."""
        self._post(alerts, {}, timedelta(0))

    def alerts(self) -> list[dict[str, Any]]:
        """What fires, as its API v2 tells it."""
        _, said = self._ask("GET", "/api/v2/alerts")
        found: list[dict[str, Any]] = json.loads(said)
        return found

    def _post(self, alerts: tuple[Labels, ...], annotations: Labels, lasts: timedelta) -> None:
        ends = (datetime.now(UTC) + lasts).isoformat()
        body = [{"labels": dict(labels), "annotations": dict(annotations), "endsAt": ends} for labels in alerts]
        status, said = self._ask("POST", "/api/v2/alerts", json.dumps(body))
        if status != 200:
            raise TestbedError(f"Alertmanager refused the alerts: {said}")

    def _ready(self) -> bool:
        return self._ask("GET", "/-/ready")[0] == 200

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        except ConnectionRefusedError:
            return 0, "nobody listens yet"
        finally:
            connection.close()


def _config(url: str, token_file: Path, ca_file: Path | None) -> dict[str, Any]:
    webhook = {
        "url": url,
        "send_resolved": True,
        "max_alerts": 500,
        "http_config": {
            "authorization": {"type": "Bearer", "credentials_file": str(token_file)},
            **({"tls_config": {"ca_file": str(ca_file)}} if ca_file is not None else {}),
        },
    }
    return {
        "route": {
            "receiver": "syncrollout",
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1s",
        },
        "receivers": [{"name": "syncrollout", "webhook_configs": [webhook]}],
    }

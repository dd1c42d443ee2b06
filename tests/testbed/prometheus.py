"""A real Prometheus on a loopback port; what it scrapes can be changed while it runs."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import yaml

from testbed import build
from testbed.errors import TestbedError
from testbed.ports import free_port
from testbed.process import Process
from testbed.waiting import eventually


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant query; `time` is when it was evaluated, in seconds since 1970."""

    labels: dict[str, str]
    value: float
    time: float


class QueryFailed(TestbedError):
    """Prometheus refused a query; the message is its own."""


Series = tuple[Mapping[str, str], Iterable[tuple[float, float]]]
"""Labels, and samples as seconds since 1970 and value, oldest first."""


def openmetrics(history: Mapping[str, Iterable[Series]]) -> str:
    """A history by the names of metrics, as the text that Prometheus takes one from."""
    lines = []
    for name, several in history.items():
        lines.append(f"# TYPE {name} unknown")
        for labels, samples in several:
            written = ",".join(f'{label}="{value}"' for label, value in labels.items())
            lines += [f"{name}{{{written}}} {value!r} {time:.3f}" for time, value in samples]
    return "\n".join([*lines, "# EOF", ""])


class Prometheus:
    """`with Prometheus(run_dir, targets=[exporter.target]) as p: p.value("errors")`; ready in about 1 s.

    scrape_interval: Prometheus' own notation ("1s"); rules are evaluated as often.
    host: the address that it listens at.
    tls: a certificate and its key, which it reads anew at every handshake.
    rules: text of a rule file (recording and alerting rules).
    history: what it has recorded already, as `openmetrics` writes it; needs promtool.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        scrape_interval: str = "1s",
        targets: Iterable[str] = (),
        rules: str = "",
        history: str = "",
        name: str = "prometheus",
        host: str = "127.0.0.1",
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.run_dir = run_dir / name
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._host = host
        self.address = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self._tls = tls
        self._groups: dict[str, tuple[list[str], dict[str, str]]] = {}
        self._rules_file = self.run_dir / "rules.yaml"
        self._write_config(scrape_interval)
        self._rules_file.write_text(rules)
        self.set_targets(targets)
        if history:
            self._record(history)
        self.process = Process(
            name,
            [
                build.program("prometheus"),
                "--config.file=prometheus.yaml",
                "--storage.tsdb.path=data",
                "--storage.tsdb.retention.time=100y",  # of a history nothing is to be dropped
                f"--web.listen-address={host}:{self.port}",
                "--web.enable-lifecycle",
                "--scrape.discovery-reload-interval=100ms",  # 5 s otherwise until a new target is scraped
                "--log.level=warn",
                *self._web_config(),
            ],
            run_dir=self.run_dir,
            cwd=self.run_dir,
        )

    def _web_config(self) -> list[str]:
        if self._tls is None:
            return []
        cert, key = map(str, self._tls)
        server = {"tls_server_config": {"cert_file": cert, "key_file": key}}
        (self.run_dir / "web.yaml").write_text(yaml.safe_dump(server))
        return ["--web.config.file=web.yaml"]

    # -- life and faults

    def launch(self) -> Self:
        """Start without waiting (see `wait_ready`)."""
        self.process.launch()
        return self

    def wait_ready(self) -> Self:
        self.process.wait_ready(lambda: self._get("/-/ready")[0] == 200)
        return self

    def start(self) -> Self:
        self.launch()
        try:
            return self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Prometheus goes away: connections are refused. What it stored is there again after `start`."""
        self.process.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Prometheus hangs: connections are accepted, nothing is answered."""
        self.process.pause()

    def resume(self) -> None:
        self.process.resume()

    def __enter__(self) -> Self:
        return self if self.process.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- what it scrapes and evaluates

    def set_targets(
        self, targets: Iterable[str], labels: Mapping[str, str] | None = None, *, group: str = "default"
    ) -> None:
        """Scrape these host:port from now on, in place of the group's former ones. Needs no restart."""
        self._groups[group] = (list(targets), dict(labels or {}))
        listed = [{"targets": hosts, "labels": extra} for hosts, extra in self._groups.values() if hosts]
        scratch = self.run_dir / "targets.json.new"
        scratch.write_text(json.dumps(listed))
        scratch.replace(self.run_dir / "targets.json")  # whole or not at all: Prometheus reads it when it likes

    def set_rules(self, rules: str) -> None:
        """Replace the rule file and load it. Raises QueryFailed with Prometheus' words if it is refused."""
        self._rules_file.write_text(rules)
        status, body = self._get("/-/reload", method="POST")
        if status != 200:
            raise QueryFailed(f"Prometheus refused the rules: {body.decode(errors='replace').strip()}")

    # -- questions

    def query(self, promql: str) -> list[Sample]:
        """An instant query; a scalar comes as one sample without labels."""
        answer = self.api(f"/api/v1/query?query={quote(promql)}")
        data = answer["data"]
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]), float(data["result"][0]))]
        return [Sample(one["metric"], float(one["value"][1]), float(one["value"][0])) for one in data["result"]]

    def value(self, promql: str) -> float | None:
        """The value if the query gives exactly one series, else None."""
        samples = self.query(promql)
        return samples[0].value if len(samples) == 1 else None

    def wait_for(self, promql: str, predicate: Callable[[list[Sample]], object], timeout: float = 10.0) -> list[Sample]:
        """Ask until the predicate holds for the answer; that answer."""
        seen: list[list[Sample]] = []

        def probe() -> bool:
            seen[:] = [self.query(promql)]
            return bool(predicate(seen[0]))

        eventually(probe, timeout=timeout, interval=0.02, what=f"Prometheus to answer {promql!r} as expected")
        return seen[0]

    def alerts(self) -> list[dict[str, Any]]:
        """Pending and firing alerts, as the API gives them."""
        found: list[dict[str, Any]] = self.api("/api/v1/alerts")["data"]["alerts"]
        return found

    def api(self, path: str) -> dict[str, Any]:
        """Any GET of the HTTP API, decoded. Raises QueryFailed on an error status."""
        status, body = self._get(path)
        try:
            answer: dict[str, Any] = json.loads(body)
        except ValueError as error:
            raise QueryFailed(f"Prometheus answered {status}: {body[:200].decode(errors='replace')}") from error
        if answer.get("status") != "success":
            raise QueryFailed(f"{answer.get('errorType')}: {answer.get('error')}")
        return answer

    def _get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        connection: http.client.HTTPConnection = http.client.HTTPConnection(self._host, self.port, timeout=10)
        if self._tls is not None:  # who is trusted is for others to find out
            trusting = ssl._create_unverified_context()  # noqa: S323
            connection = http.client.HTTPSConnection(self._host, self.port, timeout=10, context=trusting)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{self.address}{path}: {error!r}") from error
        finally:
            connection.close()

    def _record(self, history: str) -> None:
        """Blocks in its data folder, which it reads when it starts."""
        file = self.run_dir / "history.txt"
        file.write_text(history)
        program = build.program("promtool")
        command = [str(program), "tsdb", "create-blocks-from", "openmetrics", str(file), str(self.run_dir / "data")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise TestbedError(f"promtool takes no history: {done.stdout}{done.stderr}")

    def _write_config(self, interval: str) -> None:
        config = {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "testbed", "file_sd_configs": [{"files": ["targets.json"]}]}],
        }
        (self.run_dir / "prometheus.yaml").write_text(yaml.safe_dump(config))

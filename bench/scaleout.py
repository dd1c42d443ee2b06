"""Some hundred rollouts in flight, shared by one, two and four replicas of the operator: what each of them costs."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.report import Report, Row
from bench.scenarios import grown, quantile
from bench.tenthousand import in_flight
from bench.world import TICKS, World
from testbed.ports import free_port
from testbed.process import Process
from testbed.waiting import eventually

COUNT: Final = 400
REPLICAS: Final = (1, 2, 4)
WATCH: Final = 30.0
INTERVAL: Final = "10s"


class Replica:
    """One process of several."""

    def __init__(self, world: World, name: str, partitions: int) -> None:
        self._port = free_port()
        own = (
            f"--listen-port={self._port}",
            "--listen-address=127.0.0.1",
            "--lease-namespace=default",
            "--allow-destination=127.0.0.0/8,*",
            f"--partitions={partitions}",
        )
        self.process = Process(
            name,
            [sys.executable, "-m", "syncrollout", "run", *own],
            run_dir=world.testbed.run_dir,
            env={"KUBECONFIG": str(world.testbed.control_plane.kubeconfig), "PYTHONWARNINGS": "ignore"},
        ).launch()

    def metrics(self) -> dict[str, float]:
        """Its own metrics; none where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
                page = answer.read().decode()
        except OSError:
            return {}
        lines = (line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#"))
        return {series: float(value) for series, _, value in lines}

    def cpu_seconds(self) -> float:
        """CPU used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self) -> float:
        """MB in memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


@dataclass(frozen=True, slots=True)
class Share:
    """How several fare over some seconds in which no rollout changes its phase."""

    replicas: int
    cpu: tuple[float, ...]
    """Of a core, each."""
    resident: tuple[float, ...]
    passes: tuple[float, ...]
    """A second, each."""
    late: float
    """Seconds under which 99 % of the passes begin, with the one that does worst."""
    requests: float
    """To the API server, a second, all together."""
    leases: float
    """Of those, for Leases."""

    @property
    def each_pass(self) -> float:
        """CPU of a pass, in milliseconds."""
        return 1000.0 * sum(self.cpu) / sum(self.passes)


def scaleout(world: World, report: Report) -> None:
    """See above."""
    namespace = world.testbed.new_namespace("scaleout")
    in_flight(world, namespace, [f"s{number:04}" for number in range(COUNT)])
    world.stop_operator()
    shares = [_share(world, count) for count in REPLICAS]
    alone = shares[0]
    report.section(
        f"{COUNT:,} rollouts in flight, shared by several replicas, two metrics each, interval {INTERVAL}",
        "Measured by itself (`python -m bench scaleout`): as many partitions as replicas, over "
        f"{WATCH:.0f} s each, on one machine, where several processes do not have more cores than one. CPU is what "
        "compares, that of a pass above all; how many passes there are and how late tells of the machine as much as of "
        f"the operator: it had a load of {os.getloadavg()[2]:.0f} in these minutes.",
        [
            Row(f"{each.replicas} replicas" if each.replicas > 1 else "1 replica", _told(each, alone), "-")
            for each in shares
        ],
    )


def _told(share: Share, alone: Share) -> str:
    def each(values: tuple[float, ...], digits: int) -> str:
        return " / ".join(f"{value:.{digits}f}" for value in values)

    cpu, memory, passes = each(share.cpu, 3), each(share.resident, 0), each(share.passes, 1)
    text = (
        f"CPU of each {cpu} of a core, memory {memory} MB, passes {passes} a second; p99 of lateness "
        f"<= {share.late:g} s; CPU for each pass {share.each_pass:.1f} ms; API requests {share.requests:.2f} a "
        f"second, {share.leases:.2f} of them for Leases"
    )
    if share is alone:
        return text
    busiest, total = max(share.cpu) / alone.cpu[0], sum(share.cpu) / alone.cpu[0]
    grown_to = max(share.resident) / alone.resident[0]
    return (
        f"{text}. Against one: the busiest {busiest:.2f} x the CPU and {grown_to:.2f} x the memory, all together "
        f"{total:.2f} x the CPU"
    )


def _of_leases(metrics: dict[str, float]) -> float:
    wanted = "syncrollout_api_requests_total{"
    return sum(
        value for series, value in metrics.items() if series.startswith(wanted) and 'resource="leases"' in series
    )


def _share(world: World, count: int) -> Share:
    replicas = [Replica(world, f"shared-{count}-{number}", count) for number in range(count)]
    try:
        held = 1.0 / count
        eventually(
            lambda: all(abs(each.metrics().get("syncrollout_leader", 0.0) - held) < 0.01 for each in replicas),
            timeout=90,
            interval=0.5,
            what=f"{count} replicas to act for their parts",
        )
        time.sleep(20.0)  # until the first looks at all are over
        before, cpu = [each.metrics() for each in replicas], [each.cpu_seconds() for each in replicas]
        started = time.perf_counter()
        time.sleep(WATCH)
        span = time.perf_counter() - started
        used = [each.cpu_seconds() - at for each, at in zip(replicas, cpu, strict=True)]
        after = [each.metrics() for each in replicas]
        pairs = list(zip(before, after, strict=True))
        passes = tuple(grown(a, b, "syncrollout_pass_lateness_seconds_count") / span for a, b in pairs)
        late = max(quantile(a, b, "syncrollout_pass_lateness_seconds_bucket", 0.99) for a, b in pairs)
        share = Share(
            replicas=count,
            cpu=tuple(each / span for each in used),
            resident=tuple(each.resident() for each in replicas),
            passes=passes,
            late=late,
            requests=sum(grown(a, b, "syncrollout_api_requests_total") for a, b in pairs) / span,
            leases=sum(_of_leases(b) - _of_leases(a) for a, b in pairs) / span,
        )
        print(share, flush=True)
        return share
    finally:
        for each in replicas:
            each.process.stop()

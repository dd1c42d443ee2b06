"""``python -m demo.services.sync``: one sync system, old or new. Needs tests/ on PYTHONPATH, for the journal.

It copies listings from a spreadsheet into the database on a schedule, serves them over HTTP, tells Prometheus
how it is doing, and misbehaves when it is told to (``POST /fault`` on the metrics address). Where SYNCROLLOUT_SIDE is
set it is one of two, and handles only the items that its assignment gives to its side (docs/workers.md).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from prometheus_client import disable_created_metrics

from demo.services.faults import FaultSwitch
from demo.services.metrics import SyncMetrics
from demo.services.store import Store
from demo.services.web import Published, admin_server, public_server
from demo.services.worker import RunResult, SyncOptions, SyncWorker
from syncrollout.shards import Shards
from syncrollout.shards import metrics as shards_metrics
from testbed.journal import Journal

_PAGE_LATENCY = {"old": 0.030, "new": 0.015}  # the rewrite asks the source twice as fast


def parse_address(text: str) -> tuple[str, int]:
    """``ADDR:PORT``. Raises argparse's error with a sentence otherwise."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDR:PORT")
    return host, int(port)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.services.sync", description=__doc__)
    parser.add_argument("--version", choices=("old", "new"), required=True)
    parser.add_argument("--workload", help="the label of its metrics; default listing-sync-v1 or -v2")
    parser.add_argument("--listen", type=parse_address, required=True, metavar="ADDR:PORT", help="for users")
    parser.add_argument("--metrics", type=parse_address, required=True, metavar="ADDR:PORT", help="for Prometheus")
    parser.add_argument("--source", type=Path, required=True, help="the spreadsheet, a CSV file")
    parser.add_argument("--store", type=Path, required=True, help="the SQLite database, the same for both systems")
    parser.add_argument("--journal", type=Path, help="where each item is written down, before it and after it")
    parser.add_argument("--backup", type=Path, help="the backup of the database, whose age is told in the metrics")
    parser.add_argument("--every", type=float, default=1.0, help="seconds from one run's start to the next")
    parser.add_argument("--page-size", type=int, default=50, help="items asked of the source at once")
    parser.add_argument("--page-latency", type=float, help="seconds that the source takes for a page")
    parser.add_argument("--cpu-limit", type=float, default=0.5, help="cores; 100 %% of the CPU ratio")
    parser.add_argument("--memory-limit", type=int, default=256, help="MiB; 100 %% of the memory ratio")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    disable_created_metrics()  # type: ignore[no-untyped-call]
    workload = args.workload or {"old": "listing-sync-v1", "new": "listing-sync-v2"}[args.version]
    latency = args.page_latency if args.page_latency is not None else _PAGE_LATENCY[args.version]
    faults, published = FaultSwitch(), Published()
    metrics = SyncMetrics(workload, cpu_limit=args.cpu_limit, memory_limit=args.memory_limit << 20, backup=args.backup)
    metrics.describe(args.version)
    store = Store(args.store)
    options = SyncOptions(args.source, args.page_size, latency)
    shards = _shards(args.version)
    journal = Journal(args.journal, args.version, os.environ.get("POD_NAME", workload)) if args.journal else None
    worker = SyncWorker(options, store, faults, system=workload, shards=shards, journal=journal)
    stop = threading.Event()

    def done(result: RunResult | Exception) -> None:
        metrics.ran(result)
        if isinstance(result, Exception):
            print(f"{workload}: a run failed: {result}", file=sys.stderr, flush=True)
        else:
            published.set(result.stored)

    servers = [
        public_server(
            args.listen,
            version=args.version,
            workload=workload,
            published=published,
            faults=faults,
            metrics=metrics,
        ),
        admin_server(
            args.metrics,
            faults=faults,
            metrics=metrics,
            more=lambda: shards_metrics(shards) if shards is not None and shards.uid else "",
        ),
    ]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    print(f"{workload} ({args.version}) serves on {args.listen[0]}:{servers[0].server_port}", flush=True)
    worker.run_forever(args.every, stop, done)
    for server in servers:
        server.shutdown()
    store.close()
    return 0


def _shards(version: str) -> Shards | None:
    """What says which items are this system's; old works alone as long as there never was an assignment."""
    if "SYNCROLLOUT_SIDE" not in os.environ:
        return None
    return Shards.from_env({**os.environ, "SYNCROLLOUT_SIDE": version}, alone=version == "old", dry_run=True)


if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m demo`: arguments in, exit code out."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from demo import summary
from demo.elsewhere import given_world
from demo.injection import INJECTIONS
from demo.story import FaultTimes, Story, Unexpected
from demo.view import open_view
from demo.world import World, embedded_world
from testbed.errors import TestbedError
from testbed.given import kind_cluster

_CLUSTERS = ("embedded", "kind")


def main(argv: list[str] | None = None) -> int:
    """0 where the expected end was really reached, 1 with a sentence otherwise, 130 after Ctrl-C."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.cluster not in _CLUSTERS:  # argparse does not look at defaults
        parser.error(f"CLUSTER={args.cluster} is none of {', '.join(_CLUSTERS)}")
    for number in (signal.SIGTERM, signal.SIGINT):  # both, as a shell may have told us to ignore Ctrl-C
        signal.signal(number, _interrupt)
    console = Console()
    try:
        with ExitStack() as stack:
            kubeconfig = _kind(stack) if args.cluster == "kind" else args.kubeconfig
            if kubeconfig is None:
                if os.environ.get("KUBECONFIG"):  # too easily set for something that matters
                    print("demo: KUBECONFIG of the environment is not used; make demo KUBECONFIG=... is", flush=True)
                world = stack.enter_context(embedded_world(args.run_dir))
            else:
                world = stack.enter_context(given_world(kubeconfig, args.run_dir))
            return _run(world, args.fault, console)
    except KeyboardInterrupt:
        print("demo: stopped; everything it had started is gone", file=sys.stderr)
        return 130
    except TestbedError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def _run(world: World, fault: str, console: Console) -> int:
    injection = INJECTIONS[fault] if fault else None
    if world.kubeconfig is not None:
        print(f"demo: look on from another terminal: export KUBECONFIG={world.kubeconfig}", flush=True)
        print("demo:   kubectl -n listings get syncrollouts,httproutes -w", flush=True)
    times = FaultTimes()
    failure = ""
    with open_view(console) as view:
        story = Story(world.scene, world.fleet, view, world.desk, world.check, world.fault_in_pods)
        try:
            world.begin()
            if injection is None:
                story.forward()
            else:
                story.with_fault(injection, times)
        except Unexpected as unexpected:
            failure = str(unexpected)
    summary.show(summary.rows(world.scene, injection, times, story.handled, story.stands), console)
    if failure:
        print("demo: the operator's last words:", *world.last_words(), sep="\n  ", file=sys.stderr)
        print(f"demo: not as expected: {failure}", file=sys.stderr)
        return 1
    print("demo: ended as expected")
    return 0


def _kind(stack: ExitStack) -> Path:
    """The kubeconfig of a kind cluster for the time of the demo. Raises TestbedError."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-kind-")))
    print("demo: making a cluster with kind, which takes a minute or two", flush=True)
    return stack.enter_context(kind_cluster(folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="A five-phase migration on a real API server, judged by a real Prometheus, "
        "with real requests being split by a real proxy, and items being split between real workers.",
    )
    parser.add_argument(
        "--fault",
        choices=("", *INJECTIONS),
        default="",
        help="what the new system does wrong; empty: nothing",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--kubeconfig", type=Path, help="run on this cluster instead; it should be a scratch one")
    where.add_argument(
        "--cluster",
        choices=_CLUSTERS,
        default=os.environ.get("CLUSTER") or "embedded",
        help="kind: make a cluster with kind; default $CLUSTER, else a control plane that the demo brings",
    )
    parser.add_argument("--run-dir", type=Path, help="keep all logs and data here; default a temporary folder")
    return parser


def _interrupt(*_: object) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):  # once is enough: what follows is the clean-up
        signal.signal(number, signal.SIG_IGN)
    print("\ndemo: stopping", file=sys.stderr, flush=True)
    raise KeyboardInterrupt

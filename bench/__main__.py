"""`python -m bench [NAME ...]`: run the scenarios, print the figures; all of them also go into docs/benchmarks.md."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from bench import dataloss, flagship, image, node, proxy, push, scenarios, slots
from bench.report import Report
from bench.scaleout import scaleout
from bench.tenthousand import tenthousand
from bench.two_replicas import failover
from bench.world import ROOT, World, machine, world
from testbed import NotHere

SCENARIOS: dict[str, Callable[[World, Report], None]] = {
    "requests": scenarios.requests,
    "reactions": scenarios.reactions,
    "failover": failover,
    "breach-1s": lambda w, r: scenarios.breaches(w, r, interval="1s", count=20),
    "breach-5s": lambda w, r: scenarios.breaches(w, r, interval="5s", count=8),
    "push": push.restores,
    "crowd": scenarios.crowd,
    "thousand": scenarios.thousand,
    "tenthousand": tenthousand,
    "scaleout": scaleout,
    "proxy": proxy.follows,
    "slots": slots.go_back,
    "dataloss": dataloss.goes_back,
}
PARTS = {"proxy": ("dataplane",)}
"""What a scenario needs of the testbed besides what all have."""
ON_A_NODE: dict[str, Callable[[Report], None]] = {"image": image.figures, "flagship": flagship.carried_out}
"""Those that need a real kubelet, and none of what the others have."""
ALL = [*SCENARIOS, *ON_A_NODE]


def main() -> int:
    """Exit code 0 where every scenario ran to its end; figures are no verdicts."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ALL, []], help="scenarios to run; all by default")
    chosen = parser.parse_args().names or ALL
    report = Report()
    if any(name in ON_A_NODE for name in chosen):
        node.prepare()
    for name in chosen:
        print(f"--- {name}", flush=True)
        if name in ON_A_NODE:
            try:
                ON_A_NODE[name](report)
            except NotHere as error:
                print(f"left out: {error}", flush=True)
        else:
            with world(*PARTS.get(name, ())) as made:
                SCENARIOS[name](made, report)
        if chosen == ALL:
            # After each: what was measured before a scenario that fails is not lost.
            page = ROOT / "docs" / "benchmarks.md"
            page.write_text(report.markdown(machine()), encoding="utf-8")
            print(f"written: {page.relative_to(ROOT)}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

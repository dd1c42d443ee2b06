"""One seed as a readable trace, or many as a campaign.

PYTHONPATH=tests:. uv run python -m simulation 123                # the trace of seed 123, as it happens
PYTHONPATH=tests:. uv run python -m simulation --campaign 2000    # seeds 0 to 1999; failures are listed
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time

from simulation.scenario import Report, simulate
from simulation.seeds import scenario


def _trace(seed: int) -> int:
    report = simulate(scenario(seed), echo=True)
    print(f"{report.virtual:.0f} s of virtual time, {report.calls} calls, {report.processes} processes")
    print(f"ends: {report.ends}\nstory: {report.shape}\ntrace: {report.digest}")
    print(f"FAILED: {report.failure}" if report.failure else "passed")
    return 1 if report.failure else 0


def _one(seed: int) -> tuple[int, Report]:
    report = simulate(scenario(seed))
    report.lines = []
    return seed, report


def _campaign(seeds: range, jobs: int) -> int:
    started, failed, most, calls, virtual = time.monotonic(), 0, 0, 0, 0.0
    with multiprocessing.Pool(jobs) as pool:
        for done, (seed, report) in enumerate(pool.imap(_one, seeds, chunksize=4), start=1):
            most, calls, virtual = max(most, report.most_calls), calls + report.calls, virtual + report.virtual
            if report.failure:
                failed += 1
                print(f"seed {seed} ({report.title}): {report.failure}", flush=True)
            if done % 500 == 0:
                print(f"... {done} of {len(seeds)}, {failed} failed, {time.monotonic() - started:.0f} s", flush=True)
    print(
        f"{len(seeds)} seeds, {failed} failed; {calls} calls in {virtual / 3600:.1f} virtual hours, at most {most} "
        f"within a minute; {time.monotonic() - started:.0f} s"
    )
    return 1 if failed else 0


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=0, help="the seed, or the first one of a campaign")
    parser.add_argument("--campaign", type=int, metavar="N", help="run N seeds and list those that fail")
    parser.add_argument("--jobs", type=int, default=1, help="processes of a campaign")
    options = parser.parse_args()
    if options.campaign:
        return _campaign(range(options.seed, options.seed + options.campaign), options.jobs)
    return _trace(options.seed)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m soak [--minutes M] [--seed N] [--rollouts R]`: run, judge, write the page and the plot."""

from __future__ import annotations

import argparse
import pickle
import shutil
import sys
import tempfile
import time
from pathlib import Path

from soak import report
from soak.judges import judge
from soak.run import Outcome, Run
from soak.world import world

LEAST, MOST = 3, 60
OUTCOME = "outcome.pickle"
PUBLISHED = 30
"""Minutes from which on a run is long enough to be written into docs/."""


def main() -> int:
    """Exit code 0 where nothing is wrong, 1 with a sentence for each thing that is."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument(
        "--minutes", type=int, default=45, help="how long, 3 to 60; five weeks are three quarters of it"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the order of faults and wishes")
    parser.add_argument("--rollouts", type=int, default=21, help="small rollouts beside the flagship")
    parser.add_argument("--keep", type=Path, help="folder for logs and samples; a temporary one unless given")
    parser.add_argument("--write", action="store_true", help="write docs/ though the run is short")
    parser.add_argument("--again", type=Path, help="judge what a run has left in this folder (--keep) once more")
    chosen = parser.parse_args()
    if chosen.again is not None:
        return concluded(pickle.loads((chosen.again / OUTCOME).read_bytes()), chosen.again, chosen, 0.0)  # noqa: S301
    if not LEAST <= chosen.minutes <= MOST:
        parser.error(f"--minutes: give {LEAST} to {MOST}")
    print(
        f"soak: {chosen.minutes} minutes, seed {chosen.seed}, {chosen.rollouts} rollouts and the flagship", flush=True
    )
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with world(chosen.minutes, chosen.rollouts, folder) as made:
        run = Run(made, chosen.seed)
        run.go()
        outcome = run.outcome()
    (folder / OUTCOME).write_bytes(pickle.dumps(outcome))
    code = concluded(outcome, folder, chosen, time.monotonic() - began)
    if chosen.keep is None and code == 0:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"soak: logs and samples are in {folder}")
    return code


def concluded(outcome: Outcome, folder: Path, chosen: argparse.Namespace, took: float) -> int:
    """Judge, write and print; the exit code."""
    verdicts = judge(outcome.evidence)
    page = report.page(outcome, verdicts, chosen.seed)
    plot = report.plot(outcome)
    (folder / "endurance.md").write_text(page)
    (folder / "soak.svg").write_text(plot)
    report.write_samples(folder / "samples.csv", outcome)
    if outcome.minutes >= PUBLISHED or chosen.write:
        report.publish(page, plot)
    print(report.table(verdicts), flush=True)
    wrong = [text for each in verdicts for text in each.wrong]
    for text in wrong:
        print(f"WRONG: {text}", flush=True)
    print(f"soak: faults in order: {', '.join(outcome.order)}")
    print(f"soak: {len(wrong)} things are wrong, {took:.0f} s in all")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

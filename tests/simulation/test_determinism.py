"""A seed is the whole of a run: the same in this process, again, and in another one whose hashes differ."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.scenario import simulate
from simulation.seeds import scenario

REPOSITORY = Path(__file__).parents[2]
SEEDS = (2, 7, 64)
"""One route, two routes, two rollouts on one route; all with faults."""
PROGRAM = """
from simulation.scenario import simulate
from simulation.seeds import scenario
for seed in {seeds}:
    print(simulate(scenario(seed)).digest)
"""


def test_the_same_seed_gives_the_same_run_in_one_process() -> None:
    for seed in SEEDS:
        first, second = simulate(scenario(seed)), simulate(scenario(seed))
        assert first.lines == second.lines, f"seed {seed}"


@pytest.mark.parametrize("hash_seed", ["1", "4711"])
def test_the_same_seed_gives_the_same_run_with_other_hashes(hash_seed: str) -> None:
    here = [simulate(scenario(seed)).digest for seed in SEEDS]
    path = os.pathsep.join(str(REPOSITORY / part) for part in ("operator", "tests", "."))
    program = PROGRAM.format(seeds=SEEDS)
    other = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.split() == here


def test_other_seeds_give_other_runs() -> None:
    assert len({simulate(scenario(seed)).digest for seed in SEEDS}) == len(SEEDS)

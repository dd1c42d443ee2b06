"""Seeds: everything that can go wrong, together. See `simulation` for what is simulated."""

from __future__ import annotations

from simulation.scenario import simulate
from simulation.seeds import scenario


def test_whatever_happens_it_ends_where_it_should(seed: int) -> None:
    report = simulate(scenario(seed))
    if report.failure:
        last = "\n".join(line[:300] for line in report.lines[-60:])
        again = f"uv run pytest tests/simulation/test_seeds.py --sim-seed={seed}"
        whole = f"PYTHONPATH=tests:. uv run python -m simulation {seed}"
        raise AssertionError(f"{report.failure}\n\n{last}\n\nagain: {again}\nwhole trace: {whole}")

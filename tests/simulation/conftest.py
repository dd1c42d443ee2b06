"""Which seeds are simulated."""

from __future__ import annotations

import pytest

DEFAULT_SEEDS = 120


def pytest_addoption(parser: pytest.Parser) -> None:
    """Only seen where this directory, or a file in it, is named on the command line."""
    parser.addoption("--sim-seed", type=int, default=None, help="simulate this seed alone")
    parser.addoption("--sim-seeds", type=int, default=None, help="simulate seeds 0 to N-1")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`seed`: one test each."""
    if "seed" not in metafunc.fixturenames:
        return
    one = metafunc.config.getoption("sim_seed", None)
    many = metafunc.config.getoption("sim_seeds", None) or DEFAULT_SEEDS
    metafunc.parametrize("seed", [one] if one is not None else range(many))

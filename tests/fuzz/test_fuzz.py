"""Every input that is kept is tried, and the fuzzer looks for some seconds more; `make fuzz` looks for longer."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fuzz.targets import TARGETS, Target

SECONDS = 2
"""For each target. What this finds is no flake: its input is in the output, and finds it again."""
TESTS = Path(__file__).parents[1]

each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@each_target
def test_what_is_kept_breaks_nothing(target: Target) -> None:
    for _, data in target.inputs():
        target.attempt(data)


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris, the fuzzer, is to be had for Linux on x86-64 alone")
def test_what_is_looked_for_is_not_found(tmp_path: Path) -> None:
    done = _fuzz(tmp_path, "--seconds", str(SECONDS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Done ") == len(TARGETS), "it has looked at each"


def test_an_input_that_was_found_is_tried_again(tmp_path: Path) -> None:
    found = tmp_path / "input"
    found.write_bytes(b"anything")
    done = _fuzz(tmp_path, "--try", str(found), "report")
    assert done.returncode == 0, done.stderr
    done = _fuzz(tmp_path, "--try", str(found), "nothing")
    assert done.returncode == 2
    assert "there is no target nothing" in done.stderr


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris, the fuzzer, is to be had for Linux on x86-64 alone")
def test_it_finds_what_is_wrong_and_says_how_to_see_it_again(tmp_path: Path) -> None:
    """With a reader of reports that breaks at punctuation."""
    done = _fuzz(tmp_path, "--seconds", "10", "report", before=BROKEN)
    assert done.returncode != 0, done.stdout
    assert "ZeroDivisionError" in done.stdout
    assert "report: something was found" in done.stdout
    assert "PYTHONPATH=tests:operator python -m fuzz --try found/report-" in done.stdout
    (found,) = (tmp_path / "found").glob("report-crash-*")
    assert b"!" in found.read_bytes() or b"?" in found.read_bytes()


BROKEN = """
import runpy
from syncrollout.decide import reported
sound = reported.parse
reported.parse = lambda value: 1 / 0 if "!" in value or "?" in value else sound(value)
runpy.run_module("fuzz", run_name="__main__")
"""


def _fuzz(folder: Path, *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    command = ["-c", before] if before else ["-m", "fuzz"]
    return subprocess.run(
        [sys.executable, *command, *arguments],
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": f"{TESTS}:{TESTS.parent / 'operator'}"},
        capture_output=True,
        text=True,
        check=False,
    )

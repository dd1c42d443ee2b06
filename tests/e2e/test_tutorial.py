"""docs/tutorial.md, as somebody works through it: its commands in their order, and what the page says they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.operators import Operators
from e2e.scene import Stage
from testbed import Process
from testbed.cluster import kubectl_program
from testbed.ports import free_port

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^\n]+) -->\n)?```console\n(?P<text>.*?)```\n", re.DOTALL)
PATIENCE = 120
"""Seconds for one command."""


@dataclass(frozen=True)
class Command:
    """One command of the page."""

    line: str
    prints: tuple[str, ...]
    """Lines that it prints, in this order; `...` stands for anything, alone for any number of lines."""
    ends_with: int = 0
    beside: bool = False
    """It goes on in a second terminal."""


def commands() -> Iterator[Command]:
    """All that are run."""
    for block in BLOCK.finditer(PAGE.read_text("utf-8")):
        mark = block["mark"] or ""
        if mark.startswith("not run"):
            continue
        ends_with = int(mark.removeprefix("ends with ")) if mark.startswith("ends with ") else 0
        for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
            line, *prints = part.splitlines()
            while line.count("'") % 2:
                line = f"{line}\n{prints.pop(0)}"
            yield Command(line, tuple(prints), ends_with, mark == "second terminal")


def printed_as_shown(shown: tuple[str, ...], printed: str) -> bool:
    """Whether a command prints what the page says, blanks aside."""
    pattern = ""
    for line in shown:
        words = " ".join(line.split())
        if words == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in words.split("...")) + r"\n"
    text = "".join(f"{' '.join(line.split())}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, text) is not None


def test_the_page_shows_what_may_differ_by_three_dots() -> None:
    assert printed_as_shown(("a ... c", "...", "z"), "a   b c\nmore\nz\n")
    assert printed_as_shown(("...", "z", "..."), "z\n")
    assert not printed_as_shown(("a",), "a\nb\n")
    assert not printed_as_shown(("a ...",), "b a\n")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Where somebody works: the root of the repository, as far as the tutorial needs it, and a kubectl on PATH."""
    for name in ("crds", "docs", "manifests"):
        (tmp_path / name).symlink_to(ROOT / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(kubectl_program())
    return tmp_path


def test_its_commands_do_what_it_says(stage: Stage, operators: Operators, desk: Path) -> None:
    operators.stop_shared()
    environment = os.environ | {
        "PATH": f"{desk / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(stage.cluster.kubeconfig),
        "SYNCROLLOUT_LISTEN_PORT": str(free_port()),
        "SYNCROLLOUT_LISTEN_ADDRESS": "127.0.0.1",
    }
    second: list[Process] = []
    all_of_them = list(commands())
    assert len(all_of_them) > 20
    try:
        for command in all_of_them:
            if command.beside:
                terminal = Process("tutorial", ["bash", "-c", f"exec {command.line}"], run_dir=desk, env=environment)
                second.append(terminal.launch())
                continue
            began = time.monotonic()
            ended = subprocess.run(
                ["bash", "-c", command.line],
                cwd=desk,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
            told = f"$ {command.line}\n{ended.stdout}\n(code {ended.returncode}, {time.monotonic() - began:.1f} s)"
            assert ended.returncode == command.ends_with, told
            assert printed_as_shown(command.prints, ended.stdout), f"{told}\nwhere the page shows: {command.prints}"
    finally:
        for each in second:
            each.stop(grace=8)
        stage.cluster.kube.delete("v1", "Namespace", "shop")

"""Where the operator's time goes, function by function, into docs/scale.md."""

from __future__ import annotations

import os
import pstats
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.world import ROOT, World, machine
from testbed.waiting import eventually

PAGE: Final = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- profile -->\n", "<!-- end of profile -->"
ROWS: Final = 16
WATCH: Final = 30.0


class Profile:
    """Of a start with all that there is, and of some seconds at rest after it. cProfile makes all that it looks at
    slower, functions that are called often above all; shares are what counts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._prefix = world.testbed.run_dir / "profile"

    def take(self, passes: int) -> tuple[Path, Path]:
        """The two files; a start is over when so many passes have been made."""
        process = self._world.launch_operator(program=("bench.profiled", str(self._prefix)))
        eventually(
            lambda: self._world.metrics().get("syncrollout_pass_seconds_count", 0.0) >= passes,
            timeout=600,
            interval=0.5,
            what=f"{passes} passes",
        )
        start = self._written(process.pid, 1)
        time.sleep(10.0)
        self._written(process.pid, 2)
        time.sleep(WATCH)
        return start, self._written(process.pid, 3)

    def write(self, passes: int) -> None:
        """Into the page, between its marks."""
        start, rest = self.take(passes)
        before, after = PAGE.read_text("utf-8").split(BEGIN)
        lines = [
            f"On {machine()}.",
            "",
            "A start, until all of those in flight have been looked at:",
            "",
            *table(start),
            "",
            f"{WATCH:.0f} s at rest:",
            "",
            *table(rest),
        ]
        print("\n".join(lines), flush=True)
        PAGE.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + after.split(END)[1], "utf-8")

    def _written(self, pid: int, number: int) -> Path:
        os.kill(pid, signal.SIGUSR1)
        path = Path(f"{self._prefix}-{number}")
        eventually(path.exists, timeout=30, what=f"{path.name} to be written")
        return path


def table(path: Path) -> list[str]:
    """The functions with the most time of their own, in Markdown; waiting is left out."""
    rows = sorted(_rows(path), key=lambda row: -row[1])
    total = sum(row[1] for row in rows)
    lines = ["| function | calls | own time, s | share |", "|---|---|---|---|"]
    lines += [f"| `{what}` | {calls:,} | {own:.2f} | {100 * own / total:.0f} % |" for what, own, calls in rows[:ROWS]]
    rest = sum(row[1] for row in rows[ROWS:])
    return [*lines, f"| all others | | {rest:.2f} | {100 * rest / total:.0f} % |"]


def _rows(path: Path) -> Iterator[tuple[str, float, int]]:
    stats: Any = pstats.Stats(str(path))
    for (file, _, function), (_, calls, own, _, _) in stats.stats.items():
        if "poll" not in function:
            yield _named(file, function), own, calls


def _named(file: str, function: str) -> str:
    """The module as one would import it, and the function."""
    if file == "~":
        return function.strip("<>").removeprefix("built-in method ").removeprefix("method ")
    for root in ("site-packages/", "operator/", "python3.11/"):
        if root in file:
            file = file.rpartition(root)[2]
            break
    return f"{file.removesuffix('.py').replace('/', '.')}.{function}"

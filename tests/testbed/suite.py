"""`python -m testbed.suite [pytest's arguments]`: the whole suite as three runs of pytest, two at a time.

The tests on real parts wait for other programs most of their time, and those that need none fill what these leave of
the machine. The latter stand behind: they get what is left over, so that no test on real parts runs out of time for
them. When they have ended, the tests that bring a control plane of their own take their place. What the first run says
is shown as it says it, the rest once all have ended. With one processor the runs follow one another.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

APART = "not cluster and not dataplane"
"""What is asked of pytest for the tests that need no real part: `make unit` runs the same."""

_AT_ONCE = 2
_NOTHING_CHOSEN = 5
"""Pytest's exit code where no test was chosen."""
_BEHIND = 15


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the tests: what they are called, and what is asked of pytest for them."""

    name: str
    marks: str
    shown: bool = False
    behind: bool = False

    def argv(self, arguments: Sequence[str]) -> list[str]:
        """The command line. Each part remembers what failed last for itself."""
        cache = Path(".pytest_cache", self.name.replace(" ", "-"))
        return [sys.executable, "-m", "pytest", "-m", self.marks, "-o", f"cache_dir={cache}", *arguments]


PARTS = (
    Part("The tests on one control plane", f"not own_cluster and not ({APART})", shown=True),
    Part("The tests that need no real part", APART, behind=True),
    Part("The tests with control planes of their own", f"own_cluster and not ({APART})"),
)


def main(arguments: Sequence[str]) -> int:
    """Run them all. The exit code is pytest's of the first part that failed, and 5 where none chose a test."""
    if any(argument.startswith("-m") for argument in arguments):
        return subprocess.call([sys.executable, "-m", "pytest", *arguments])  # the caller has chosen himself
    if (os.cpu_count() or 1) < _AT_ONCE:
        codes = [subprocess.call(part.argv(arguments)) for part in PARTS]
    else:
        codes = _Suite(arguments).run()
    failed = [code for code in codes if code not in (0, _NOTHING_CHOSEN)]
    return failed[0] if failed else min(codes)


@dataclass
class _Suite:
    """Two parts at a time."""

    arguments: Sequence[str]
    _begun: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self) -> list[int]:
        """The exit codes."""
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool, contextlib.ExitStack() as stack:
            outputs = [
                stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")) for _ in PARTS
            ]
            stack.callback(self._end, pool)
            work = [pool.submit(self._call, part, output) for part, output in zip(PARTS, outputs, strict=True)]
            print(f"{PARTS[0].name}; what the others say follows at the end.", flush=True)
            codes = [each.result() for each in work]
            for part, output in zip(PARTS, outputs, strict=True):
                if not part.shown:
                    _show(part, output)
            return codes

    def _call(self, part: Part, output: IO[str]) -> int:
        # one that is not shown is in a session of its own, and does not hear Ctrl-C
        into = None if part.shown else output
        argv = part.argv(self.arguments)
        process = subprocess.Popen(argv, stdout=into, stderr=into, start_new_session=not part.shown)
        self._begun.append(process)
        if part.behind:
            _let_stand_behind(process.pid)
        return process.wait()

    def _end(self, pool: ThreadPoolExecutor) -> None:
        """Where this process is told to end ahead of its time, so are they."""
        pool.shutdown(wait=False, cancel_futures=True)
        for process in self._begun:
            process.terminate()


def _show(part: Part, output: IO[str]) -> None:
    output.seek(0)
    print(f"\n{part.name}:\n", flush=True)
    for line in output:
        sys.stdout.write(line)
    sys.stdout.flush()


def _let_stand_behind(pid: int) -> None:
    """Linux may share the processor out by session first, and only within one by niceness: both are lowered."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _BEHIND)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_BEHIND))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

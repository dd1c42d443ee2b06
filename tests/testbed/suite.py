"""`python -m testbed.suite [pytest's arguments]`: the whole suite as three runs of pytest, beside one another.

The tests on real parts wait for other programs most of their time. They are two of the runs, each with a control plane
of its own: the scenarios of tests/e2e, and the others. The tests that need no real part fill what these leave of the
machine, and stand behind: they get what is left over, so that no test on real parts runs out of time for them.
What the scenarios say is shown as they say it, what the others say once all have ended. With one processor the runs
follow one another.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

APART = "not cluster and not dataplane"
"""What is asked of pytest for the tests that need no real part: `make unit` runs the same."""

_NOTHING_CHOSEN = 5
"""Pytest's exit code where no test was chosen."""
_BEHIND = 15


@dataclass(frozen=True, slots=True)
class Run:
    """Some of the tests: what they are called, and what is asked of pytest for them."""

    name: str
    marks: str
    behind: bool = False

    def argv(self, arguments: Sequence[str]) -> list[str]:
        """The command line. The runs keep what failed last apart."""
        cache = Path(".pytest_cache", self.name.replace(" ", "-"))
        return [sys.executable, "-m", "pytest", "-m", self.marks, "-o", f"cache_dir={cache}", *arguments]


SHOWN = Run("the scenarios", f"scenario and not ({APART})")
OTHERS = (
    Run("the other tests on real parts", f"not scenario and not ({APART})"),
    Run("the tests that need no real part", APART, behind=True),
)


def main(arguments: Sequence[str]) -> int:
    """Run them all. The exit code is pytest's of the first run that failed, and 5 where none chose a test."""
    if any(argument.startswith("-m") for argument in arguments):
        return subprocess.call([sys.executable, "-m", "pytest", *arguments])  # the caller has chosen himself
    if (os.cpu_count() or 1) < 2:
        codes = [subprocess.call(run.argv(arguments)) for run in (SHOWN, *OTHERS)]
    else:
        codes = _beside_one_another(arguments)
    failed = [code for code in codes if code not in (0, _NOTHING_CHOSEN)]
    return failed[0] if failed else min(codes)


def _beside_one_another(arguments: Sequence[str]) -> list[int]:
    with contextlib.ExitStack() as stack:
        begun = [(run, *stack.enter_context(_begun(run, arguments))) for run in OTHERS]
        print(f"Beside {SHOWN.name}: {', '.join(run.name for run in OTHERS)}. They follow at the end.", flush=True)
        codes = [subprocess.call(SHOWN.argv(arguments))]
        for run, process, output in begun:
            codes.append(process.wait())
            output.seek(0)
            print(f"\n{run.name[:1].upper()}{run.name[1:]}:\n", flush=True)
            for line in output:
                sys.stdout.write(line)
            sys.stdout.flush()
        return codes


@contextlib.contextmanager
def _begun(run: Run, arguments: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], IO[str]]]:
    """One that goes on in a session of its own, and what it has said; ended with this process' interest in it."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(run.argv(arguments), stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            if run.behind:
                _let_stand_behind(process.pid)
            yield process, output
        finally:
            process.terminate()
            process.wait()


def _let_stand_behind(pid: int) -> None:
    """Linux may share the processor out by session first, and only within one by niceness: both are lowered."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _BEHIND)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_BEHIND))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m testbed.halves [pytest's arguments]`: the whole suite as two runs of pytest, beside one another.

The tests on real parts wait for other programs most of their time; those that need none fill what they leave of the
machine. The latter stand behind: they get what is left over, so that no test on real parts runs out of time for them.
Their output follows when the others have ended. With one processor the two run one after the other.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

APART = "not cluster and not dataplane"
"""What is asked of pytest for the tests that need no real part: `make unit` runs the same."""

_NOTHING_CHOSEN = 5
"""Pytest's exit code where no test was chosen."""
_BEHIND = 15


def main(arguments: Sequence[str]) -> int:
    """Run both halves. The exit code is pytest's of the first half that failed, and 5 where neither chose a test."""
    pytest = [sys.executable, "-m", "pytest"]
    if any(argument.startswith("-m") for argument in arguments):
        return subprocess.call([*pytest, *arguments])  # the caller has chosen himself
    real = [*pytest, "-m", f"not ({APART})", *arguments]
    apart = [*pytest, "-m", APART, "-o", f"cache_dir={Path('.pytest_cache', 'apart')}", *arguments]
    if (os.cpu_count() or 1) < 2:
        codes = [subprocess.call(apart), subprocess.call(real)]
    else:
        codes = _beside_one_another(apart, real)
    failed = [code for code in codes if code not in (0, _NOTHING_CHOSEN)]
    return failed[0] if failed else min(codes)


def _beside_one_another(apart: list[str], real: list[str]) -> list[int]:
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        behind = subprocess.Popen(apart, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            _let_stand_behind(behind.pid)
            print("The tests that need no real part run beside these; what they say follows at the end.", flush=True)
            code = subprocess.call(real)
            codes = [behind.wait(), code]
        except BaseException:
            behind.terminate()
            behind.wait()
            raise
        output.seek(0)
        print("\nThe tests that need no real part:\n", flush=True)
        for line in output:
            sys.stdout.write(line)
        sys.stdout.flush()
        return codes


def _let_stand_behind(pid: int) -> None:
    """Linux may share the processor out by session first, and only within one by niceness: both are lowered."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _BEHIND)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_BEHIND))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m bench.profiled PREFIX run ...`: the operator under cProfile. At SIGUSR1, and at its end, what it has used
since is written to PREFIX-1, PREFIX-2 and so on, and counted anew."""

from __future__ import annotations

import cProfile
import itertools
import os
import signal
import sys
from typing import Any

from syncrollout.cli.entry import main as syncrollout


def main() -> int:
    """The operator's own exit code."""
    prefix = sys.argv.pop(1)
    profile = cProfile.Profile()
    numbers = itertools.count(1)

    def write(*_: Any) -> None:
        profile.disable()
        path = f"{prefix}-{next(numbers)}"
        profile.dump_stats(f"{path}.part")
        os.replace(f"{path}.part", path)  # whoever waits for it finds it whole
        profile.clear()
        profile.enable()

    signal.signal(signal.SIGUSR1, write)
    profile.enable()
    try:
        return syncrollout()
    finally:
        write()


if __name__ == "__main__":
    raise SystemExit(main())

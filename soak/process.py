"""The operator as a process that can be asked from outside how much it holds: python -m soak.process FILE run FLAGS...

SIGUSR1 has it count its objects, tasks and threads into FILE; SIGUSR2 has it collect garbage before that. Nothing else
is different from `syncrollout`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from syncrollout.cli.main import main as operator


def count(path: Path, *, collect: bool) -> None:
    """Write what the process holds."""
    if collect:
        gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    found = {
        "objects": len(gc.get_objects()),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "rss": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "collected": collect,
    }
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(found))
    scratch.replace(path)


def main() -> int:
    """See the module."""
    path = Path(sys.argv[1])

    def asked(number: int, _frame: FrameType | None) -> None:
        count(path, collect=number == signal.SIGUSR2)

    signal.signal(signal.SIGUSR1, asked)
    signal.signal(signal.SIGUSR2, asked)
    return operator(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())

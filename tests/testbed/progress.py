"""What a person sees while something takes long: what, for how long already, how long it usually takes.

On a terminal one line is rewritten in place; elsewhere (CI) a plain line comes every 20 s.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import Self, TextIO

_TTY_EVERY = 0.5
_PLAIN_EVERY = 20.0


class Progress:
    """Shows `what` with elapsed time from entering to leaving; `detail` may be changed in between."""

    def __init__(self, what: str, *, usually: str = "", out: TextIO | None = None) -> None:
        self.what = what
        self.usually = usually
        self.detail = ""
        self._out = out if out is not None else sys.stderr
        self._tty = self._out.isatty()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        usual = f" (usually {self.usually})" if self.usually else ""
        self._plain(f"testbed: {self.what}{usual}")
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._done.set()
        self._thread.join()
        if self._tty:
            self._out.write("\r\x1b[K")
        outcome = "done" if kind is None else "FAILED"
        self._plain(f"testbed: {self.what}: {outcome} in {_clock(self._elapsed())}")

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _run(self) -> None:
        while not self._done.wait(_TTY_EVERY if self._tty else _PLAIN_EVERY):
            detail = f", {self.detail}" if self.detail else ""
            line = f"testbed: {self.what}: {_clock(self._elapsed())}{detail}"
            if self._tty:
                # a line that wraps could not be rewritten in place
                self._out.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
                self._out.flush()
            else:
                self._plain(line)

    def _plain(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

"""Child programs: started with a log of their own, waited for, stopped, and never left behind.

Nothing survives the test process. Each child asks the kernel to be killed when its parent goes
(PR_SET_PDEATHSIG), so even `kill -9` of the tests leaves no server running. The kernel counts the
*thread* that made the child as the parent, hence children are started from the main thread only.
Children are in sessions of their own: Ctrl-C reaches the test process alone, which stops them in order.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from testbed.errors import ProcessDied, TestbedError, TimedOut
from testbed.waiting import eventually

_PR_SET_PDEATHSIG = 1
_LAST_LINES = 12


class Process:
    """One child program. Its output goes to `run_dir/name.log`; `env` is added to this process's own."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        run_dir: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.argv = [str(part) for part in argv]
        self.log_path = run_dir / f"{name}.log"
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._child: subprocess.Popen[bytes] | None = None

    def launch(self) -> Self:
        """Start the program and return at once. Its log is appended to, so a restart keeps the story."""
        if self.running:
            raise TestbedError(f"{self.name} is already running")
        if threading.current_thread() is not threading.main_thread():
            raise TestbedError(
                f"{self.name} must be started from the main thread: the kernel would kill it with this one"
            )
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            try:
                self._child = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._env,
                    cwd=self._cwd,
                    start_new_session=True,
                    preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 - one system call, no lock
                )
            except OSError as error:
                raise ProcessDied(f"{self.name} cannot be started: {error}") from error
        return self

    def wait_ready(self, ready: Callable[[], object], timeout: float = 30.0) -> Self:
        """Wait until `ready()` is truthy. Raises ProcessDied or TimedOut, both with the last log lines."""

        def probe() -> object:
            if not self.running:
                raise ProcessDied(f"{self.name} ended with code {self.returncode} before it was ready{self.tail()}")
            return ready()

        try:
            eventually(probe, timeout=timeout, what=f"{self.name} to be ready")
        except TimedOut as error:
            raise TimedOut(f"{error}{self.tail()}") from error
        return self

    def start(self, ready: Callable[[], object] | None = None, timeout: float = 30.0) -> Self:
        """`launch`, then `wait_ready` if there is something to wait for; stopped again if that fails."""
        self.launch()
        if ready is not None:
            try:
                self.wait_ready(ready, timeout)
            except BaseException:
                self.stop()
                raise
        return self

    def stop(self, grace: float = 5.0) -> int | None:
        """SIGTERM, then SIGKILL after `grace` seconds. Returns the exit code (negative: the signal's number),
        or None if it never ran."""
        child = self._child
        if child is None:
            return None
        if child.poll() is None:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # one that is paused cannot hear SIGTERM
            try:
                child.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()
        return child.returncode

    def kill(self) -> None:
        """SIGKILL, as a crash would end it."""
        if self._child is not None:
            self._signal(signal.SIGKILL)
            self._child.wait()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, as with a hung machine."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self._signal(signal.SIGCONT)

    def wait(self, timeout: float) -> int:
        """Wait for the program to end by itself; its exit code."""
        if self._child is None:
            raise TestbedError(f"{self.name} was never started")
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimedOut(f"{self.name} still runs after {timeout:g} s{self.tail()}") from error

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise TestbedError(f"{self.name} was never started")
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        return None if self._child is None else self._child.poll()

    def log_text(self) -> str:
        """What the program has printed so far."""
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def memory_mb(self) -> float:
        """Resident memory, in MB (10^6 bytes); 0 when not running."""
        with contextlib.suppress(OSError):
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        return 0.0

    def cpu_seconds(self) -> float:
        """CPU time used so far, user and system, in seconds; 0 when not running."""
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.send_signal(number)

    def tail(self) -> str:
        """The last lines of its log, to be put behind the sentence of an error."""
        lines = self.log_text().splitlines()[-_LAST_LINES:]
        shown = "".join(f"\n  {line[:600]}" for line in lines) or "\n  (nothing)"
        return f"; the end of {self.log_path}:{shown}"


def python(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of the project with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def die_with(parent: int) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: after fork only the call itself may happen

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent went between fork and prctl
            os._exit(1)

    return ask_kernel


def stop_all(processes: Sequence[Process], grace: float = 5.0) -> None:
    """Stop several at once, so that the slowest decides how long it takes, not their sum."""
    for process in processes:
        process._signal(signal.SIGTERM)
        process._signal(signal.SIGCONT)
    deadline = time.monotonic() + grace
    for process in processes:
        process.stop(max(0.0, deadline - time.monotonic()))

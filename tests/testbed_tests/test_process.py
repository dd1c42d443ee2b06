"""Child programs: readiness, failures told with their log, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from testbed import Process, ProcessDied, TestbedError, TimedOut, eventually
from testbed.process import stop_all


def _sleeper(run_dir: Path, name: str = "sleeper") -> Process:
    return Process(name, ["sleep", "60"], run_dir=run_dir)


def test_a_program_that_ends_early_is_told_with_its_last_words(run_dir: Path) -> None:
    program = Process("grumpy", ["sh", "-c", "echo out of cheese; exit 3"], run_dir=run_dir)
    with pytest.raises(
        ProcessDied, match=r"grumpy ended with code 3 before it was ready(.|\n)*out of cheese"
    ) as caught:
        program.start(lambda: False, timeout=10)
    assert str(program.log_path) in str(caught.value)


def test_a_program_that_never_gets_ready_is_stopped(run_dir: Path) -> None:
    program = Process("slow", ["sh", "-c", "echo still thinking; sleep 60"], run_dir=run_dir)
    with pytest.raises(TimedOut, match=r"slow to be ready(.|\n)*still thinking"):
        program.start(lambda: False, timeout=0.3)
    assert not program.running


def test_a_missing_program_is_named(run_dir: Path) -> None:
    with pytest.raises(ProcessDied, match="no-such-program"):
        Process("missing", ["no-such-program"], run_dir=run_dir).start()


def test_stop_ends_even_what_is_paused_or_deaf(run_dir: Path) -> None:
    paused = _sleeper(run_dir).start()
    paused.pause()
    assert paused.stop() == -signal.SIGTERM
    deaf = Process("deaf", ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"], run_dir=run_dir)
    deaf.start(lambda: "deaf" in deaf.log_text())
    assert deaf.stop(grace=0.2) == -signal.SIGKILL


def test_stopping_several_takes_as_long_as_one(run_dir: Path) -> None:
    programs = [_sleeper(run_dir, f"sleeper-{number}").start() for number in range(3)]
    stop_all(programs)
    assert [program.running for program in programs] == [False] * 3


def test_starting_from_another_thread_is_refused(run_dir: Path) -> None:
    refused: list[TestbedError] = []

    def start() -> None:
        try:
            _sleeper(run_dir).start()
        except TestbedError as error:
            refused.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(refused[0])


def test_nothing_survives_a_killed_test_process(run_dir: Path) -> None:
    script = f"""
import time
from pathlib import Path
from testbed import Process
child = Process("orphan", ["sleep", "60"], run_dir=Path({str(run_dir)!r})).start()
print(child.pid, flush=True)
time.sleep(60)
"""
    source_root = str(Path(__file__).resolve().parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": source_root}
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _alive(pid)
        parent.kill()
    eventually(lambda: not _alive(pid), what="the kernel to end the orphan", timeout=5)


def test_memory_and_processor_time_are_measured(run_dir: Path) -> None:
    script = "x = b'1' * 50_000_000\nwhile True: pass"
    with Process("busy", [sys.executable, "-c", script], run_dir=run_dir) as busy:
        eventually(lambda: busy.memory_mb() > 50, what="memory to be taken")
        before, clock = busy.cpu_seconds(), time.monotonic()
        eventually(lambda: busy.cpu_seconds() > before + 0.1, what="processor time to pass")
        assert busy.cpu_seconds() - before <= time.monotonic() - clock + 0.05


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False

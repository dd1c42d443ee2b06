"""The network namespace: closed to the outside, with addresses for backends and pods."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_INSIDE = """
import socket
def reachable(address):
    with socket.create_server((address, 0)) as server, socket.create_connection(server.getsockname()[:2]):
        return True
assert reachable("127.0.0.1") and reachable("10.200.7.9") and reachable("10.244.1.2")
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print(error.strerror)
"""


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=env)


def _in_namespace(*command: str) -> subprocess.CompletedProcess[str]:
    return _run(sys.executable, "-m", "testbed.ns", *command)


def test_addresses_are_local_and_nothing_leads_out() -> None:
    done = _in_namespace(sys.executable, "-c", _INSIDE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "Network is unreachable"


def test_a_command_has_a_namespace_of_its_own() -> None:
    assert _in_namespace("readlink", "/proc/self/ns/net").stdout != os.readlink("/proc/self/ns/net") + "\n"


_AS_PLAIN_USER = (
    """
import ctypes, encodings.idna, os, sys  # all that is needed later: a plain user may not read it
from testbed import netns
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    # a changed uid makes /proc/self root's until the next exec; this is what an exec would do
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
before = os.getuid(), os.getgid(), os.readlink("/proc/self/ns/net")
netns.enter()
assert (os.getuid(), os.getgid()) == before[:2]
assert os.readlink("/proc/self/ns/net") != before[2]
"""
    + _INSIDE
)


def test_works_without_root_and_keeps_the_user() -> None:
    done = _run(sys.executable, "-c", _AS_PLAIN_USER)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "Network is unreachable"


def test_exit_code_and_mistakes_are_passed_on() -> None:
    assert _in_namespace("sh", "-c", "exit 7").returncode == 7
    missing = _in_namespace("no-such-program")
    assert (missing.returncode, missing.stderr) == (127, "testbed: no-such-program: No such file or directory\n")

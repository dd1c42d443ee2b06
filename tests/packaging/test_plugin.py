"""The plugin as kubectl finds it: by its name, on PATH."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from syncrollout import __version__
from testbed.cluster import kubectl_program


def test_kubectl_runs_it(kustomized: Any) -> None:
    del kustomized  # it sees to it that there is a kubectl
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": "/nowhere"}
    done = subprocess.run(
        [kubectl_program(), "syncrollout", "version"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, f"kubectl-syncrollout {__version__}\n"), done.stderr


def test_kubectl_completes_it(kustomized: Any) -> None:
    del kustomized
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": "/nowhere"}

    def completed(*words: str) -> list[str]:
        done = subprocess.run(
            [kubectl_program(), "__complete", "syncrollout", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.splitlines()

    offered = completed("st")
    assert [line.partition("\t")[0] for line in offered] == ["status", ":4"]
    assert completed("drill", "x", "--mode", "") == ["rehearse", "live", ":4"]
    assert completed("validate", "-f", "") == [":0"]
    assert completed("status", "") == [":4"], "there is no cluster here"

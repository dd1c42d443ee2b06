"""The whole testbed from a plain script, as demo and benchmarks use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import testbed
from testbed import Testbed, TestbedError, build, netns

_SCRIPT = """
import json, os, socket, subprocess, sys
from pathlib import Path
from testbed import Testbed, netns

outside = os.readlink("/proc/self/ns/net")
with Testbed(sys.argv[1], parts=("kwok", "prometheus"), host_access=True) as t:
    namespace = t.new_namespace("script")
    pids = [p.pid for p in (*t.control_plane.processes.values(), t.kwok.process, t.prometheus.process)]
    print(json.dumps({
        "moved": os.readlink("/proc/self/ns/net") != outside,
        "nodes": len(t.kube.list("v1", "Node")),
        "one": t.prometheus.value("1"),
        "namespace": namespace,
        "pids": pids,
        "kubeconfig": str(t.host_kubeconfig),
    }), flush=True)
    sys.stdin.readline()
print("over", flush=True)
"""


@pytest.mark.cluster
def test_a_script_gets_everything_and_leaves_nothing(run_dir: Path, control_plane: object) -> None:
    # `control_plane` only so that everything is built before; the script starts its own
    source_root = str(Path(__file__).resolve().parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, str(run_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source_root},
    ) as script:
        assert script.stdout is not None
        told = json.loads(script.stdout.readline())
        assert told["moved"] or not netns.entered()  # where namespaces are allowed it must have moved
        assert (told["nodes"], told["one"]) == (2, 1)
        # from here, outside the script's namespace, its API server answers through the door
        kubectl = [str(build.program("kubectl")), "--kubeconfig", told["kubeconfig"], "get", "ns", "-o", "name"]
        assert f"namespace/{told['namespace']}" in subprocess.check_output(kubectl, text=True, timeout=20)
        out, _ = script.communicate("stop\n", timeout=30)
    assert out == "over\n"
    assert script.returncode == 0
    assert not [pid for pid in told["pids"] if Path(f"/proc/{pid}").exists()]


def test_parts_are_named_when_wrong_or_not_asked_for() -> None:
    with pytest.raises(TestbedError, match="has no part 'promethius'; the parts are: kwok, prometheus, dataplane"):
        Testbed(parts=("promethius",))
    with pytest.raises(TestbedError, match="without 'kwok'"):
        _ = Testbed().kwok


def test_everything_the_package_names_is_there() -> None:
    assert set(testbed.__all__) == set(testbed._HOME)
    for name in testbed.__all__:
        assert getattr(testbed, name).__name__ == name or name == "Obj"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = testbed.Nothing

"""The demo's kubelet: pods on one side, real processes on loopback on the other."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from demo.fleet import HTTP_PORT, METRICS_PORT, Fleet
from demo.services.faults import Fault
from demo.services.spreadsheet import new_sheet, write_sheet
from demo.step_pods import StepPods
from demo.workspace import Workspace

from syncrollout.shards import Assignment
from testbed.journal import NEVER, Ledger
from testbed.mounts import FINALIZER

OLD, NEW = "127.77.0.1", "127.77.0.2"


class Cluster:
    """The pods that the API server would show, and what it was told of them."""

    def __init__(self) -> None:
        self.pods: list[dict[str, Any]] = [_pod("a", "v1", OLD), _pod("b", "v2", NEW)]
        self.marks: list[tuple[str, str]] = []
        self.targets: list[str] = []
        self.assignment = ""
        self.released: list[str] = []
        self.said: list[tuple[str, dict[str, Any]]] = []


def _pod(name: str, app: str, address: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": {"app": app}},
        "status": {"podIP": address},
    }


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def fleet(tmp_path: Path, cluster: Cluster) -> Iterator[Fleet]:
    workspace = Workspace(tmp_path)
    write_sheet(workspace.sheet, new_sheet(20).rows)

    def scrape(targets: list[str]) -> None:
        cluster.targets = targets

    fleet = Fleet(
        workspace,
        tmp_path,
        versions={"v1": "old", "v2": "new"},
        pods=lambda: cluster.pods,
        mark=lambda pod, what: cluster.marks.append((pod, what)),
        scrape=scrape,
        assignment=lambda: cluster.assignment,
        release=cluster.released.append,
        steps=StepPods(
            lambda: cluster.pods, lambda pod, status: cluster.said.append((pod, status)), tmp_path, tmp_path
        ),
    )
    yield fleet
    fleet.stop()


def _until(fleet: Fleet, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        fleet.tick()
        time.sleep(0.02)


def _answers(address: str) -> str | None:
    connection = http.client.HTTPConnection(address, HTTP_PORT, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().getheader("X-Sync-Version")
    except OSError:
        return None
    finally:
        connection.close()


def test_a_pod_is_ready_once_its_process_answers_and_takes_it_along_when_deleted(
    fleet: Fleet, cluster: Cluster
) -> None:
    fleet.workspace.sheet.unlink()
    _until(fleet, lambda: (_answers(OLD), _answers(NEW)) == ("old", "new"))
    fleet.tick()
    assert cluster.marks == [], "they answer, but have nothing to show yet"
    write_sheet(fleet.workspace.sheet, new_sheet(20).rows)
    _until(fleet, lambda: len(cluster.marks) == 2)
    assert sorted(cluster.marks) == [("a", "ready"), ("b", "ready")]
    assert (_answers(OLD), _answers(NEW)) == ("old", "new")
    assert cluster.targets == [f"{OLD}:{METRICS_PORT}", f"{NEW}:{METRICS_PORT}"]

    cluster.pods[0]["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}
    _until(fleet, lambda: fleet.running("old") == 0)
    assert _answers(OLD) is None
    assert _answers(NEW) == "new"
    assert cluster.targets == [f"{NEW}:{METRICS_PORT}"]
    _until(fleet, lambda: cluster.released)
    assert cluster.released == ["a"]
    assert 0.0 < fleet.ended("a", 0.0) <= time.monotonic()
    assert fleet.ended("b", 0.0) == NEVER


def test_a_pod_is_let_go_of_only_after_its_process(fleet: Fleet, cluster: Cluster) -> None:
    def gone(pod: str) -> None:
        running_at_release.append((pod, fleet.running("old" if pod == "a" else "new")))

    running_at_release: list[tuple[str, int]] = []
    fleet.release = gone
    _until(fleet, lambda: len(cluster.marks) == 2)
    for pod in cluster.pods:
        pod["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}
    _until(fleet, lambda: len(running_at_release) == 2)
    assert sorted(running_at_release) == [("a", 0), ("b", 0)]


def test_what_the_processes_handle_follows_the_assignment(fleet: Fleet, cluster: Cluster) -> None:
    def handled() -> dict[str, set[str]]:
        ledger.read()
        recent = [item for item in ledger.done if item.begin >= since]
        return {side: {item.key for item in recent if item.side == side} for side in ("old", "new")}

    ledger, since = Ledger(fleet.workspace.journal, fleet.ended), 0.0
    _until(fleet, lambda: len(handled()["old"]) == 20)
    assert handled()["new"] == set(), "old works alone as long as there never was an assignment"
    assignment = Assignment(1, 500, 500)
    cluster.assignment = assignment.dump()
    _until(fleet, lambda: handled()["new"])
    since = time.monotonic() + 1.0
    _until(fleet, lambda: len(handled()["old"] | handled()["new"]) == 20)
    assert {assignment.owner(key) for key in handled()["old"]} == {"old"}
    assert {assignment.owner(key) for key in handled()["new"]} == {"new"}


def test_a_crash_shows_on_the_pod_and_the_process_comes_back_unless_told_to_stay_down(
    fleet: Fleet, cluster: Cluster
) -> None:
    _until(fleet, lambda: len(cluster.marks) == 2)
    cluster.marks.clear()
    fleet.inject("new", Fault.CRASH)
    _until(fleet, lambda: cluster.marks)
    assert cluster.marks == [("b", "crashed")]
    assert not fleet.ready("new")
    _until(fleet, lambda: fleet.ready("new"))
    assert cluster.marks == [("b", "crashed"), ("b", "starting"), ("b", "ready")]

    fleet.stay_down.add("new")
    fleet.inject("new", Fault.CRASH)
    _until(fleet, lambda: cluster.marks[-1] == ("b", "crashed"))
    end = time.monotonic() + 3  # longer than a restart takes to be due
    _until(fleet, lambda: time.monotonic() > end)
    assert cluster.marks[-1] == ("b", "crashed")
    assert fleet.running("new") == 0


def _step_pod(name: str, command: list[str], **container: Any) -> dict[str, Any]:
    pod = _pod(name, "", "")
    pod["metadata"]["labels"] = {"syncrollout.io/step": "Restore"}
    pod["spec"] = {"containers": [{"name": "restore", "command": command, **container}]}
    return pod


def test_the_pod_of_a_step_is_a_process_whose_code_and_last_words_go_into_its_status(
    fleet: Fleet, cluster: Cluster
) -> None:
    script = (
        "import os, sys; print('progress: 40% of it', flush=True); "
        "open(os.environ['TERMINATION_LOG'], 'w').write(os.environ['WHAT'] + ' ' + sys.argv[1]); sys.exit(3)"
    )
    env = [{"name": "ROLLOUT_RUN", "value": "7"}, {"name": "WHAT", "value": "run $(ROLLOUT_RUN)"}]
    cluster.pods = [_step_pod("job-x", ["python", "-c", script], env=env, args=["of $(WHAT)"])]
    _until(fleet, lambda: len(cluster.said) == 2)
    assert [(pod, status["phase"]) for pod, status in cluster.said] == [("job-x", "Running"), ("job-x", "Failed")]
    ended = cluster.said[1][1]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (3, "run 7 of run 7")
    for _ in range(5):
        fleet.tick()
    assert fleet.steps.ran == ["Restore"], "a pod of a step runs once"


def test_the_progress_of_a_step_is_seen_while_it_runs_and_a_deleted_pod_takes_its_process_along(
    fleet: Fleet, cluster: Cluster
) -> None:
    script = "import time; print('progress: 40% 3 of 8', flush=True); time.sleep(600)"
    cluster.pods = [_step_pod("job-x", ["python", "-c", script])]
    _until(fleet, fleet.steps.progress)
    assert fleet.steps.progress() == "40% 3 of 8"
    cluster.pods = []
    fleet.tick()
    assert fleet.steps.progress() == ""
    assert [status["phase"] for _, status in cluster.said] == ["Running"]

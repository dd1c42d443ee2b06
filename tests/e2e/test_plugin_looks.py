"""What the kubectl plugin shows, as a person with reading rights alone sees it: real API server, real operator."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Scene
from e2e.test_plugin import Plugin, person
from testbed import Cluster
from testbed.cluster import kubectl_program
from testbed.errors import TestbedError

pytestmark = pytest.mark.cluster


def test_a_reader_lists_rollouts_of_her_namespace_and_is_told_what_she_may_not(
    operator: Operator, scene: Scene
) -> None:
    reader = person(scene, "reader", "list")
    code, said, problem = reader("list")
    assert (code, said) == (0, "")
    assert problem == f"There is no SyncRollout in namespace {scene.namespace}.\n"

    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    code, said, problem = reader("list", "-o", "wide")
    assert (code, problem) == (0, "")
    titles, row = said.splitlines()
    assert row[titles.index("PHASE") :].startswith("1/1 half ")
    assert row[titles.index("WEIGHT") :].startswith("50 % ")
    assert row[titles.index("STATUS") :].startswith("Progressing ")
    assert row[titles.index("MESSAGE") :] == rollout.status["message"]
    code, said, _ = reader("list", "-l", "team=none", "-o", "json")
    assert (code, json.loads(said)["items"]) == (0, [])

    nobody = person(scene, "nobody", "get")
    code, _, problem = nobody("list")
    assert code == 1
    assert problem.startswith("you may not list syncrollouts.syncrollout.io here: ask for that right (kubectl: ")


def test_a_reader_sees_where_it_is_and_follows_it_until_it_ends(operator: Operator, scene: Scene) -> None:
    triggers = [{"severity": "Medium", "metric": "errors", "above": 10}]
    phases = [plan.phase("half", 50, plan.LONG, success=[], rollbackOn=[]), plan.phase("all", 100, "1s", success=[])]
    rollout = scene.rollout(phases, rollback={"triggers": triggers})
    rollout.until(phase="half", stands=True)
    scene.set("errors", 15, "new")
    rollout.until("Holding", reason="AwaitingDecision")
    reader = person(scene, "reader", "get", "list", "watch")

    code, said, problem = reader("status", "move")
    assert (code, problem) == (0, "")
    assert said.startswith(f"{scene.namespace}/move is Holding: ")
    assert "> half   50 %" in said
    assert "Incident of severity Medium" in said
    command = f"kubectl syncrollout decide move continue -m WHY -n {scene.namespace}"
    assert f"to let it go on: {command}" in said
    assert "progress: [>.] phase 1 of 2, all over " in said
    code, said, _ = reader("status", "move", "--readings")
    assert code == 0
    readings = said.partition("Readings of new, the last 1h to ")[2]
    assert re.search(r"\n  errors   ·+[▁-█]+ +[0-9.]+ percent \([0-9.]+ to [0-9.]+\)", readings), said
    code, said, _ = reader("status", "move", "-o", "json")
    assert (code, json.loads(said)["status"]["reason"]) == (0, "AwaitingDecision")

    following = reader.started("status", "move", "-w")
    too_long = threading.Timer(60, following.kill)
    too_long.start()
    assert following.stdout is not None
    with following, following.stdout as told:
        first = told.readline()
        rollout.edit(emergencyStop=True)
        rest = told.read()
    too_long.cancel()
    assert following.returncode == 2
    assert first.startswith(f"{scene.namespace}/move is Holding: ")
    assert f"{scene.namespace}/move is RolledBack: " in rest
    assert rest.count("> half   50 %") == 1


def test_a_reader_reads_what_has_happened_and_why_it_stands(operator: Operator, scene: Scene) -> None:
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)])
    rollout.until(phase="half", stands=True)
    reader = person(scene, "reader", "get")
    rollout.edit(revision="2")
    rollout.until(phase="half", stands=True, also=lambda obj: obj["status"]["run"] == 2)
    code, said, problem = reader("history", "move")
    assert (code, problem) == (0, "")
    first, second = said.split("\n\n")
    assert first.startswith("Run 1: ")
    assert "RevisionChanged" in first
    assert second.startswith("Run 2: ")
    assert "PhaseStarted" in second
    assert reader("history", "move", "--run", "1")[1] == f"{first}\n"

    code, said, problem = reader("explain-decision", "move")
    assert (code, problem) == (0, "")
    assert said.startswith(f"{scene.namespace}/move is Progressing: {rollout.status['message']}. The phase runs as")
    assert "the duration of phase half, over " in said
    assert f": kubectl syncrollout rollback move -m WHY -n {scene.namespace}\n" in said


def test_a_shell_is_offered_the_names_that_there_are(operator: Operator, scene: Scene) -> None:
    scene.rollout([plan.phase("half", 50, plan.LONG)]).until(phase="half")
    reader = person(scene, "reader", "get", "list")
    search = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    line = [kubectl_program(), "__complete", "syncrollout", "status", "-n", scene.namespace, "m"]
    done = subprocess.run(line, env=reader.environment | search, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["move", ":4"]


def test_a_manifest_is_written_from_what_is_there_and_carried_out(
    operator: Operator, scene: Scene, tmp_path: Path, control_plane: Cluster
) -> None:
    anybody = Plugin(control_plane.kubeconfig, scene.namespace)
    file = tmp_path / "rollout.yaml"
    line = ("init", "--old", "old", "--new", "new", "--plan", "hour", "--prometheus", "none", "--yes", "-o", str(file))
    code, said, problem = anybody(*line)
    assert (code, said) == (0, "")
    assert "route: HTTPRoute web" in problem
    assert "The API server would accept it." in problem
    assert anybody(*line)[0] == 1, "it is there already"
    assert anybody("validate", "-f", str(file), namespaced=False)[0] == 0

    text = file.read_text().replace("duration: 15m", "duration: 1s").replace("duration: 30m", "duration: 1s")
    file.write_text(text)
    control_plane.kubectl("apply", "-f", str(file))
    name = yaml.safe_load(text)["metadata"]["name"]
    rollout = scene.adopt(name)
    rollout.until("Completed")
    assert scene.weights() == [0, 10, 50, 100]


def test_a_reader_writes_what_was_really_deployed(operator: Operator, scene: Scene, tmp_path: Path) -> None:
    rollout = scene.rollout([plan.phase("half", 50), plan.phase("all", 100)])
    rollout.until("Completed")
    reader = person(scene, "reader", "get")
    file = tmp_path / "record.md"
    code, said, problem = reader("record", "move", "-o", str(file))

    assert (code, problem) == (0, "")
    assert said.startswith(f"{file}: {scene.namespace}/move is Completed: ")
    text = file.read_text()
    past = rollout.status["pastPhases"]
    assert [(each["name"], each["weight"], each["end"]) for each in past] == [
        ("half", 50, "Passed"),
        ("all", 100, "Passed"),
    ]
    for each in past:
        moments = " | ".join(f"{each[name][:19]}Z" for name in ("entered", "since", "ended"))
        assert f"| {each['name']} | {each['weight']} % | {moments} |" in text
    [success] = [each for each in past[0]["results"] if each["metric"] == "errors"]
    assert success["verdict"] == "Pass"
    assert f"| Pass | errors | {success['limit']} | {success['reading']:.4g} | - |" in text
    assert "| result | completed: new has taken over |" in text


def test_what_validate_says_offline_is_what_the_api_server_says(
    tmp_path: Path, control_plane: Cluster, scene: Scene
) -> None:
    file = tmp_path / "rollout.yaml"
    phases = [plan.phase("half", 50), plan.phase("all", 100)]
    made = plan.rollout("move", scene.namespace, "http://prometheus:9090", phases)
    file.write_text(json.dumps(made))
    offline = Plugin(tmp_path / "no-kubeconfig", scene.namespace)
    assert offline("validate", "-f", str(file), namespaced=False)[:2] == (0, f"{file}: SyncRollout move is valid\n")
    control_plane.kubectl("apply", "--dry-run=server", "-f", str(file))

    file.write_text(json.dumps(plan.rollout("move", scene.namespace, "http://prometheus:9090", phases[::-1])))
    code, said, _ = offline("validate", "-f", str(file), namespaced=False)
    assert code == 1
    _, _, sentence = said.strip().partition("spec.phases: ")
    assert sentence.startswith("weights never fall")
    with pytest.raises(TestbedError, match=re.escape(sentence)):
        control_plane.kubectl("apply", "--dry-run=server", "-f", str(file))

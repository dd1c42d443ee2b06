"""The kubectl plugin, as a person uses it: its own process, the user's kubeconfig, a real operator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Scene
from testbed import Cluster, Obj
from testbed.cluster import kubectl_program

pytestmark = pytest.mark.cluster

VERBS = ["get", "patch"]


class Plugin:
    """`kubectl syncrollout`, with one kubeconfig."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.environment = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "KUBECTL_SYNCROLLOUT_KUBECTL": kubectl_program(),
        }
        self.namespace = namespace

    def __call__(self, *arguments: str, namespaced: bool = True) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        ended = subprocess.run(
            self._line(*arguments, namespaced=namespaced),
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
            env=self.environment,
            stdin=subprocess.DEVNULL,
        )
        return ended.returncode, ended.stdout, ended.stderr

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        """One that goes on; its stdout is to be read."""
        return subprocess.Popen(
            self._line(*arguments),
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
            stdin=subprocess.DEVNULL,
        )

    def _line(self, *arguments: str, namespaced: bool = True) -> list[str]:
        program = Path(sys.executable).with_name("kubectl-syncrollout")
        return [str(program), *arguments, *(["-n", self.namespace] if namespaced else [])]


def person(scene: Scene, name: str, *verbs: str) -> Plugin:
    """A person who may do this with SyncRollouts and read ConfigMaps, in this namespace and no more."""
    kube, namespace = scene.kube, scene.namespace
    meta = {"name": name, "namespace": namespace}
    rules = [
        {"apiGroups": ["syncrollout.io"], "resources": ["syncrollouts"], "verbs": list(verbs)},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
    ]
    kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    api = "rbac.authorization.k8s.io"
    kube.create({"apiVersion": f"{api}/v1", "kind": "Role", "metadata": meta, "rules": rules})
    bound: Obj = {"subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]}
    bound["roleRef"] = {"apiGroup": api, "kind": "Role", "name": name}
    kube.create({"apiVersion": f"{api}/v1", "kind": "RoleBinding", "metadata": meta, **bound})
    cluster = scene.stage.cluster
    return Plugin(cluster.kubeconfig_for(cluster.token_for(namespace, name), f"{namespace}-{name}"), namespace)


def test_a_person_with_rights_on_syncrollouts_alone_sends_it_back_reads_why_and_tries_again(
    operator: Operator, scene: Scene
) -> None:
    procedure: Obj = {"evidence": {}}
    rollout = scene.rollout([plan.phase("half", 50, plan.LONG)], rollback={"procedure": procedure})
    rollout.until(phase="half", stands=True)
    plugin = person(scene, "on-call", *VERBS)

    code, said, problem = plugin("rollback", "move", "-m", "the index is missing")
    assert (code, problem) == (1, "nothing was done: nobody can be asked here, for this is no terminal; give --yes\n")
    assert "This sends all traffic and work back to old at once" in said
    code, said, _ = plugin("rollback", "move", "-m", "the index is missing", "--dry-run=server")
    assert code == 0
    assert "syncrollout.io/rollback=the index is missing" in said
    assert said.endswith("(server dry run: nothing was done)\n")
    assert scene.weight() == 50

    code, said, problem = plugin("rollback", "move", "-m", "the index is missing", "--yes")
    assert (code, problem) == (0, "")
    assert "RollbackRequested: Rolling back from 50 %" in said
    rollout.until("RolledBack")
    assert scene.weights() == [0, 50, 0]

    code, said, problem = plugin("report-incident", "move")
    assert (code, problem) == (0, "")
    assert said.startswith("# Incident report: move, run 1 of revision 1\n")
    assert "the index is missing" in said
    code, said, problem = plugin("report-incident", "move", "--run", "2")
    assert (code, problem) == (1, "move has had 1 runs, and none of number 2\n")

    code, said, _ = plugin("override", "move", "-m", "known")
    assert code == 2
    assert said.splitlines()[-1] == "Nothing was done: no incident is open"
    code, said, _ = plugin("retry", "move", "-m", "it is there now")
    assert code == 0
    assert "RetryRequested: The next attempt at revision 1 was asked for" in said
    assert f"by system:serviceaccount:{scene.namespace}:on-call: it is there now" in said
    rollout.until(phase="half", stands=True, also=lambda obj: obj["status"]["run"] == 2)


def test_a_person_decides_of_an_incident(operator: Operator, scene: Scene) -> None:
    triggers = [{"severity": "Medium", "metric": "errors", "above": 10}]
    phases = [plan.phase("half", 50, plan.LONG, success=[], rollbackOn=[])]
    rollout = scene.rollout(phases, rollback={"triggers": triggers})
    rollout.until(phase="half", stands=True)
    scene.set("errors", 15, "new")
    rollout.until("Holding", reason="AwaitingDecision")
    code, said, _ = person(scene, "on-call", *VERBS)("decide", "move", "continue", "-m", "the load test of tonight")
    assert code == 0
    caller = f"system:serviceaccount:{scene.namespace}:on-call"
    assert f"IncidentOverridden: Goes on in spite of it by {caller}: continue: the load test of tonight" in said
    rollout.until("Progressing")


def test_what_is_not_there_and_what_is_not_allowed_is_said(scene: Scene, operator: Operator) -> None:
    scene.rollout([plan.phase("half", 50, plan.LONG)])
    reader = person(scene, "reader", "get", "list")
    code, _, problem = reader("rollback", "mvoe", "-m", "x", "--yes")
    assert (code, problem) == (1, "there is no SyncRollout mvoe here; did you mean move?\n")
    scene.rollouts[0].until(phase="half", stands=True)
    code, _, problem = reader("rollback", "move", "-m", "x", "--yes")
    assert code == 1
    assert problem.startswith("you may not patch syncrollouts.syncrollout.io here: ask for that right (kubectl: ")
    nobody = person(scene, "nobody", "list")
    assert nobody("retry", "move", "-m", "x")[2].startswith("you may not get syncrollouts.syncrollout.io here")


def test_a_cluster_that_does_not_answer(tmp_path: Path, control_plane: Cluster) -> None:
    nowhere = tmp_path / "kubeconfig"
    text = control_plane.kubeconfig.read_text().replace(control_plane.server, "https://127.0.0.1:1")
    nowhere.write_text(text)
    code, _, problem = Plugin(nowhere, "default")("retry", "move", "-m", "x")
    assert code == 1
    assert problem.startswith("the cluster does not answer: look at --context and --kubeconfig (kubectl: ")

"""What docs/gitops.md does through Git alone: its commands, run in a repository, and applied as a GitOps tool would."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Scene
from testbed import Obj

pytestmark = pytest.mark.cluster

PAGE = Path(__file__).parents[2] / "docs" / "gitops.md"
NAME = "listing-sync"


def _commands() -> list[str]:
    _, _, section = PAGE.read_text("utf-8").partition("## Through Git alone")
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


class Repository:
    """A Git repository with the folder of the page, and the tool that applies what is committed."""

    def __init__(self, folder: Path, scene: Scene, phases: list[Obj]) -> None:
        self._folder = folder
        self._scene = scene
        production = folder / "production"
        production.mkdir()
        made = plan.rollout(NAME, scene.namespace, scene.stage.prometheus.address, phases)
        del made["metadata"]["namespace"]
        decisions = {"apiVersion": plan.API_VERSION, "kind": plan.KIND, "metadata": {"name": NAME}}
        for name, content in (
            ("rollout.yaml", made),
            ("decisions.yaml", decisions),
            ("kustomization.yaml", {"resources": ["rollout.yaml"], "patches": [{"path": "decisions.yaml"}]}),
        ):
            (production / name).write_text(yaml.safe_dump(content))
        self._run("git", "init", "-q")
        self._run("git", "add", "-A")
        self._run("git", "commit", "-qm", "The migration")
        self.sync()

    def commit(self, commands: str) -> None:
        """Type what the page says; then the tool applies it."""
        self._run("bash", "-euc", commands)
        assert self._run("git", "status", "--porcelain") == ""
        self.sync()

    def sync(self) -> None:
        """Apply what is committed."""
        kubectl = self._scene.stage.cluster.kubectl
        text = kubectl("kustomize", str(self._folder / "production"))
        kubectl(
            *("-n", self._scene.namespace, "apply", "--server-side", "--force-conflicts"),
            *("--field-manager=argocd-controller", "-f", "-"),
            input=text,
        )

    def _run(self, *command: str) -> str:
        who = {
            f"GIT_{role}_{what}": "kim@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(
            command, cwd=self._folder, env={**os.environ, **who, **alone}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout


def test_each_decision_is_a_commit(operator: Operator, scene: Scene, tmp_path: Path) -> None:
    pause, approve, back, again = _commands()
    asks = plan.phase("small", 10, "1s", approval="Required")
    repository = Repository(tmp_path, scene, [asks, plan.phase("half", 50, plan.LONG)])
    rollout = scene.adopt(NAME)
    rollout.until(phase="small", stands=True)
    repository.commit(pause)
    rollout.until("Paused", reason="Suspended")
    repository.commit(approve)
    status = rollout.until(phase="half", stands=True)
    assert [(each["phase"], each["by"]) for each in status["approvals"]] == [("small", "kim@example.com")]
    repository.commit(back)
    rollout.until("RolledBack")
    assert scene.weight() == 0
    repository.commit(again)
    status = rollout.until("AwaitingApproval", phase="small")
    assert (status["run"], status["revision"]) == (2, "2")
    rollout.edit(emergencyStop=True)
    rollout.until("RolledBack")

"""What the kubectl plugin shows, as a person with reading rights alone sees it: real API server, real operator."""

from __future__ import annotations

import json

import pytest

from e2e import plan
from e2e.operators import Operator
from e2e.scene import Scene
from e2e.test_plugin import person

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

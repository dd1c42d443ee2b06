"""Rollouts with steps after the switch, and what their Jobs do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fakes.controllers import Course
from syncrollout.ports import Object


def job(image: str) -> Object:
    """A Job of a pod template."""
    return {
        "template": {"spec": {"containers": [{"name": "step", "image": image, "env": [{"name": "A", "value": "b"}]}]}}
    }


PROCEDURE: Object = {
    "verifyData": {"job": job("verify"), "budget": "10s"},
    "restore": {"job": job("restore"), "mode": "WhenNeeded", "budget": "20s"},
    "evidence": {},
}


def with_procedure(body: Object, **changes: Any) -> Object:
    """The rollout with steps; `changes` go into rollback.procedure."""
    body["spec"].setdefault("rollback", {})["procedure"] = {**PROCEDURE, **changes}
    return body


def courses(*, damaged: bool = True, lasts: float = 2.0, mends: bool = True) -> Callable[[Object], Course]:
    """A verification that fails while the data is damaged, and a restore that mends it when it ends."""
    state = {"damaged": damaged}

    def course(made: Object) -> Course:
        image = made["spec"]["template"]["spec"]["containers"][0]["image"]
        if image == "restore":
            state["damaged"] = state["damaged"] and not mends
            return Course(lasts)
        return Course(lasts, well=not state["damaged"])

    return course


def steps(status: Object) -> dict[str, str]:
    """The state of each step."""
    return {step["name"]: step["state"] for step in (status.get("rollback") or {}).get("steps", [])}

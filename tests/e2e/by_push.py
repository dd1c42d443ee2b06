"""A rollout that hears of alerts by push."""

from __future__ import annotations

from e2e import plan
from e2e.scene import Rollout, Scene


def by_push(scene: Scene) -> Rollout:
    """Half of the traffic, looked at once an hour: what happens meanwhile comes by push."""
    prometheus = {"address": scene.stage.prometheus.address, "interval": "1h", "timeout": "3s"}
    trigger = {"severity": "Critical", "alert": "DataLoss", "match": {"workload": "$workload"}}
    rollout = scene.rollout(
        [plan.phase("half", 50, plan.LONG, success=[], rollbackOn=[])],
        prometheus=prometheus,
        rollback={"triggers": [trigger]},
    )
    rollout.until(phase="half", stands=True)
    return rollout


__all__ = ["by_push"]

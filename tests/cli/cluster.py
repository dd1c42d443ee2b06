"""A cluster in memory for the commands, and an operator that takes in what is asked of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from typing import Any

from syncrollout.cli.kubectl import RESOURCE, Changed, NotThere
from syncrollout.decide.requests import remembered

Obj = dict[str, Any]


class FakeCluster:
    """SyncRollouts and ConfigMaps of one namespace. `operator` is run after each write, as if it had been woken."""

    def __init__(self, *rollouts: Obj) -> None:
        self.objects: dict[tuple[str, str], Obj] = {}
        self.operator: Callable[[Obj], None] | None = None
        self.before_write: list[Callable[[Obj], None]] = []
        """What somebody else does between a read and the next write, each once."""
        self.tried: list[Obj] = []
        """Patches of dry runs."""
        self.asked: list[tuple[str, bool]] = []
        """Selector, and whether all namespaces were asked for, of each list."""
        self.changes: list[Callable[[Obj], None]] = []
        """What is changed while it is watched."""
        for each in rollouts:
            self.objects[RESOURCE, each["metadata"]["name"]] = each

    def get(self, resource: str, name: str) -> Obj:
        """See Cluster."""
        try:
            return copy.deepcopy(self.objects[resource, name])
        except KeyError:
            raise NotThere(f"{name} (NotFound)") from None

    def names(self, resource: str) -> list[str]:
        """See Cluster."""
        return [name for kind, name in self.objects if kind == resource]

    def every(self, resource: str, *, selector: str = "", everywhere: bool = False) -> list[Obj]:
        """See Cluster; of selectors it knows `label=value`."""
        self.asked.append((selector, everywhere))
        label, _, value = selector.partition("=")
        found = [copy.deepcopy(obj) for (kind, _), obj in self.objects.items() if kind == resource]
        return [obj for obj in found if not selector or (obj["metadata"].get("labels") or {}).get(label) == value]

    def watch(self, resource: str, name: str) -> Generator[Obj, None, None]:
        """See Cluster; `changes` are made one after another, and then it is deleted."""
        yield self.get(resource, name)
        for change in self.changes:
            change(self.objects[resource, name])
            yield self.get(resource, name)
        raise NotThere(f"{name} has been deleted")

    def who(self) -> str:
        """See Cluster."""
        return "kim@example.com"

    def patch(self, resource: str, name: str, patch: Obj, *, dry_run: bool = False) -> None:
        """See Cluster."""
        obj = self.objects[resource, name]
        if self.before_write:
            self.before_write.pop(0)(obj)
            bump(obj)
        if (
            patch["metadata"].get("resourceVersion", obj["metadata"]["resourceVersion"])
            != obj["metadata"]["resourceVersion"]
        ):
            raise Changed(f"{name} (Conflict)")
        if dry_run:
            self.tried.append(patch)
            return
        annotations = obj["metadata"].get("annotations", {}) | patch["metadata"]["annotations"]
        obj["metadata"]["annotations"] = {key: value for key, value in annotations.items() if value is not None}
        bump(obj)
        if self.operator is not None:
            self.operator(obj)


def bump(obj: Obj) -> None:
    """Another resourceVersion."""
    obj["metadata"]["resourceVersion"] = str(int(obj["metadata"]["resourceVersion"]) + 1)


def takes_in(reason: str = "RollbackRequested", message: str = "Rolling back from 10 %") -> Callable[[Obj], None]:
    """An operator that takes in all annotations, and tells this of it."""

    def run(obj: Obj) -> None:
        asked = {name.rpartition("/")[2]: remembered(said) for name, said in obj["metadata"]["annotations"].items()}
        status = obj["status"]
        status["requests"] = asked
        tell(status, reason, message)

    return run


def tell(status: Obj, reason: str, message: str) -> None:
    """One more entry of the history."""
    history = status.setdefault("history", [])
    entry = {"sequence": len(history) + 1, "run": 1, "time": "2026-01-05T10:00:00.000Z", "reason": reason}
    history.append(entry | {"message": message})

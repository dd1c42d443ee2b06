"""What the watches tell of the rollouts and routes, kept as little as it takes to judge it at the end."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

Obj = dict[str, Any]
WAITS = "OutsideWindow"
Delivery = tuple[str, str, str]
"""The id of a message, its audience and channel."""


@dataclass
class Tale:
    """Of one rollout."""

    uid: str
    name: str
    namespace: str
    scheduled: bool
    entries: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    """By sequence: time, reason and message of the entry of the history."""
    runs: dict[int, str] = field(default_factory=dict)
    """By run: how it has ended so far; empty where it has not."""
    deliveries: dict[Delivery, str] = field(default_factory=dict)
    """How far each is."""
    waits: list[tuple[float, bool]] = field(default_factory=list)
    """When it began and ceased to wait for a window."""
    gone: bool = False


@dataclass
class Story:
    """Told by the mirrors' threads, read by the main one."""

    tales: dict[str, Tale] = field(default_factory=dict)
    changed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Entries of a history that were written over, by rollout."""
    weights: dict[tuple[str, str], int] = field(default_factory=dict)
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often the weights of a route have changed, whoever did it."""
    largest: int = 0
    """Bytes of the largest status that was seen."""
    longest: int = 0
    """Entries of the longest history."""
    finals: dict[tuple[str, str], Obj] = field(default_factory=dict)
    """The rollouts as they stand."""
    _sizes: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rollout(self, what: str, obj: Obj) -> None:
        """A rollout has changed."""
        metadata, status = obj["metadata"], obj.get("status") or {}
        with self._lock:
            uid = metadata["uid"]
            tale = self.tales.get(uid)
            if tale is None:
                scheduled = bool(obj["spec"].get("schedule"))
                tale = self.tales[uid] = Tale(uid, metadata["name"], metadata["namespace"], scheduled)
            size = len(json.dumps(status, separators=(",", ":")))
            self._sizes.append(size)
            self.largest = max(self.largest, size)
            self._history(tale, status)
            self._deliveries(tale, status)
            waits = status.get("reason") == WAITS
            if not tale.waits or tale.waits[-1][1] != waits:
                tale.waits.append((time.time(), waits))
            run = int(status.get("run") or 0)
            if run:
                ended = status["state"] if status.get("state") in ("Completed", "RolledBack") else ""
                tale.runs[run] = ended or tale.runs.get(run, "")
            key = (metadata["namespace"], metadata["name"])
            if what == "DELETED":
                tale.gone = True
                self.finals.pop(key, None)
            else:
                self.finals[key] = obj

    def _history(self, tale: Tale, status: Obj) -> None:
        history = status.get("history") or ()
        self.longest = max(self.longest, len(history))
        for entry in history:
            told = (entry["time"], entry["reason"], entry["message"])
            before = tale.entries.setdefault(entry["sequence"], told)
            if before != told:
                self.changed[tale.name].append(f"{entry['sequence']}: {before} became {told}")

    @staticmethod
    def _deliveries(tale: Tale, status: Obj) -> None:
        for message in (status.get("notifications") or {}).get("messages") or ():
            for each in message.get("deliveries") or ():
                tale.deliveries[message["id"], each["audience"], each["channel"]] = each["state"]

    def route(self, what: str, obj: Obj) -> None:
        """A route has changed."""
        key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
        weight = weight_of(obj)
        with self._lock:
            before = self.weights.get(key)
            self.weights[key] = weight
            if before is not None and before != weight and what != "DELETED":
                self.moves[key] += 1

    def sizes(self) -> int:
        """The largest status since the last call, bytes."""
        with self._lock:
            largest, self._sizes = max(self._sizes, default=0), []
        return largest


def weight_of(route: Obj) -> int:
    """The weight of the second backend of the first rule: new."""
    backends = route["spec"]["rules"][0]["backendRefs"]
    return int(backends[1].get("weight", 1)) if len(backends) > 1 else 0

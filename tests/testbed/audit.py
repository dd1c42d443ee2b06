"""Who asked the API server for what: its audit log (Metadata level), read back and counted.

The testbed's own parts (controllers, scheduler, fake kubelet, the test's own client) are left out by
the policy, so what is counted is what the program under test and the people in the test did.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from testbed.errors import TimedOut
from testbed.waiting import eventually

Mark = int
"""A place in the audit log: its size in bytes when the mark was set."""

_MARKER_PATH = "/version"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One request. `time` is when it came in, in seconds since 1970; `code` 0 while a watch is open."""

    time: float
    user: str
    groups: tuple[str, ...]
    user_agent: str
    verb: str
    api_group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    forbidden: bool
    """The authorizer refused it. An admission that refuses answers 403 too, as for what is made in a namespace that
    is being deleted."""
    uri: str
    impersonated: str
    credential: str
    """Which token was shown (`JTI=...`), where it is one of a ServiceAccount: tells two processes of one apart."""


class AuditLog:
    """The audit log of one API server. `flush` must make a request whose URI is the one it is given."""

    def __init__(self, path: Path, flush: Callable[[str], object]) -> None:
        self.path = path
        self._flush = flush

    def mark(self) -> Mark:
        """Everything up to now is before the mark."""
        return self._flushed()

    def since(self, mark: Mark) -> list[AuditEvent]:
        """One event per request since the mark, complete up to the moment of the call."""
        self._flushed()
        with self.path.open("rb") as log:
            log.seek(mark)
            lines = log.read().splitlines()
        events: dict[str, AuditEvent] = {}
        for line in lines:
            try:
                raw = json.loads(line)
            except ValueError:
                continue  # the last line may be half written
            if _MARKER_PATH + "?mark=" not in raw["requestURI"]:
                # a watch appears twice, when it opens and when it ends: the same request
                events[raw["auditID"]] = _event(raw)
        return list(events.values())

    def count(
        self,
        mark: Mark,
        *,
        user_agent: str | None = None,
        user: str | None = None,
        verb: str | None = None,
        resource: str | None = None,
        subresource: str | None = None,
        namespace: str | None = None,
        name: str | None = None,
    ) -> int:
        """How many requests since the mark fit all that is given; `user_agent` is compared by its beginning."""
        wanted = {
            key: value
            for key, value in {
                "user": user,
                "verb": verb,
                "resource": resource,
                "subresource": subresource,
                "namespace": namespace,
                "name": name,
            }.items()
            if value is not None
        }
        return sum(
            all(getattr(event, key) == value for key, value in wanted.items())
            and (user_agent is None or event.user_agent.startswith(user_agent))
            for event in self.since(mark)
        )

    def table(self, mark: Mark, by: Sequence[str] = ("user_agent", "verb", "resource")) -> Counter[tuple[str, ...]]:
        """Requests since the mark, counted by the named fields of AuditEvent."""
        return Counter(tuple(str(getattr(event, field)) for field in by) for event in self.since(mark))

    def _flushed(self) -> int:
        """Make a request that can be recognised and wait until it stands in the log; the size after it."""
        token = f"{_MARKER_PATH}?mark={uuid.uuid4().hex}"
        begin = self.path.stat().st_size if self.path.exists() else 0
        self._flush(token)

        def seen() -> int:
            if not self.path.exists():
                return 0
            with self.path.open("rb") as log:
                log.seek(begin)
                found = log.read()
            at = found.find(token.encode())
            end = found.find(b"\n", at)
            return begin + end + 1 if at >= 0 and end >= 0 else 0

        try:
            return eventually(seen, timeout=15, interval=0.01, what="the audit log to be written")
        except TimedOut as error:
            raise TimedOut(f"{error} ({self.path})") from error


def _event(raw: dict[str, Any]) -> AuditEvent:
    ref = raw.get("objectRef") or {}
    came = datetime.fromisoformat(raw["requestReceivedTimestamp"].replace("Z", "+00:00"))
    return AuditEvent(
        time=came.timestamp(),
        user=raw.get("user", {}).get("username", ""),
        groups=tuple(raw.get("user", {}).get("groups", ())),
        user_agent=raw.get("userAgent", ""),
        verb=raw.get("verb", ""),
        api_group=ref.get("apiGroup", ""),
        resource=ref.get("resource", ""),
        subresource=ref.get("subresource", ""),
        namespace=ref.get("namespace", ""),
        name=ref.get("name", ""),
        code=(raw.get("responseStatus") or {}).get("code", 0),
        forbidden=(raw.get("annotations") or {}).get("authorization.k8s.io/decision") == "forbid",
        uri=raw["requestURI"],
        impersonated=(raw.get("impersonatedUser") or {}).get("username", ""),
        credential=(raw.get("user", {}).get("extra", {}).get("authentication.kubernetes.io/credential-id") or [""])[0],
    )

"""One SyncRollout as a command sees it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Request
from syncrollout.cli.answers import Failed
from syncrollout.cli.kubectl import RESOURCE, Cluster, NotThere
from syncrollout.decide import requests, watch


@dataclass(frozen=True, slots=True)
class Rollout:
    """As last read."""

    name: str
    namespace: str
    version: str
    """Its resourceVersion."""
    generation: int
    """Of its spec."""
    annotations: dict[str, str]
    spec: SyncRolloutSpec
    status: SyncRolloutStatus

    @property
    def where(self) -> str:
        """Where it is, in one line."""
        said = self.status.message or "the operator has not looked at it yet: is it running?"
        return f"{self.namespace}/{self.name} is {self.status.state}: {said}"

    @property
    def told(self) -> int:
        """How far its history goes."""
        return self.status.history[-1].sequence if self.status.history else 0

    def taken_in(self, request: Request) -> str:
        """The value of an annotation that the operator has taken in; empty where there is none."""
        return (self.status.requests.model_dump().get(requests.key(request)) if self.status.requests else None) or ""

    @property
    def active(self) -> bool:
        """Whether there is something that could go back."""
        return self.status.in_flight or watch.goes_on(self.spec, self.status, taken=False)

    def pointless(self, request: Request, value: str, by: str | None = None) -> str:
        """Why it makes no sense to ask for it now; empty where it does. `by`: who asks, where that is known."""
        line = requests.remembered(value)
        return requests.pointless(request, line, self.spec, self.status, active=self.active, by=by)


def read(cluster: Cluster, name: str) -> Rollout:
    """Raises Failed with a sentence."""
    return parse(find(cluster, name))


def find(cluster: Cluster, name: str) -> dict[str, Any]:
    """Its JSON. Raises Failed with a sentence."""
    try:
        return cluster.get(RESOURCE, name)
    except NotThere as error:
        raise Failed(f"there is no SyncRollout {name} here{_near(cluster, name)}") from error


def parse(found: dict[str, Any]) -> Rollout:
    """A SyncRollout from its JSON. Raises Failed where another release of the operator has written what this one of
    the plugin cannot read."""
    metadata = found["metadata"]
    try:
        spec = SyncRolloutSpec.model_validate(found.get("spec") or {})
        status = SyncRolloutStatus.model_validate(found.get("status") or {})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        msg = f"{metadata['name']} cannot be read by this release of the plugin ({field}: {first['msg']}): update it"
        raise Failed(msg) from error
    return Rollout(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        version=str(metadata.get("resourceVersion", "")),
        generation=int(metadata.get("generation", 0)),
        annotations=dict(metadata.get("annotations") or {}),
        spec=spec,
        status=status,
    )


def _near(cluster: Cluster, name: str) -> str:
    try:
        names = cluster.names(RESOURCE)
    except Failed:
        return ""
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there is {', '.join(sorted(names)[:5])}" if names else ", nor any other: look at --namespace"


__all__ = ["Rollout", "find", "parse", "read"]

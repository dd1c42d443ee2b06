"""The ports: what the operator needs of the outside, as small protocols. Adapters are named in `runtime/compose.py`
alone; fakes for tests satisfy the same contract tests as the real ones (`tests/contract/`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Protocol

from syncrollout.decide.deliveries import Delivery
from syncrollout.decide.facts import Reading

Object = dict[str, Any]
"""A Kubernetes object as JSON."""

ACTING_FOR: ContextVar[str] = ContextVar("acting_for", default="")
"""The uid of the rollout for which something is done: whether this process may write for it is asked by that. Set by
whatever begins to do something for one rollout; tasks that it makes inherit it."""


@dataclass(frozen=True, slots=True, order=True)
class KindRef:
    """A kind of object: apiVersion (`v1`, `apps/v1`) and kind."""

    api_version: str
    kind: str

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        return f"{self.kind} ({self.api_version})"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """One object; `namespace` is empty for objects of the cluster."""

    kind: KindRef
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Behalf:
    """On whose behalf a request is made: for something in this namespace, as this ServiceAccount of it, or as the
    operator itself where `account` is empty."""

    namespace: str
    account: str = ""

    @property
    def user(self) -> str:
        """The account's user name; empty where it is the operator."""
        return f"system:serviceaccount:{self.namespace}:{self.account}" if self.account else ""

    @property
    def groups(self) -> list[str]:
        """The groups that every account of its namespace is in."""
        return ["system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", "system:authenticated"]

    def __str__(self) -> str:
        return f"ServiceAccount {self.namespace}/{self.account}" if self.account else "the operator"


class PatchType(StrEnum):
    """Content types of PATCH."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"


class Turn(IntEnum):
    """Which routine request goes first where many wait: what has begun is finished before anything else begins."""

    FIRST = 0
    """What carries out a step that is recorded, and all that reads."""
    STEP = 1
    """What records a step, and so begins it."""
    LAST = 2
    """What only confirms a step."""
    LEISURE = 3
    """What nothing waits for: Events, and the finalizer of a run that has ended and is not watched. Unlike the others
    it has its time-out from when it is sent, however long it has waited for its turn."""


class ApiError(Exception):
    """The API server refused, or could not be reached. The message says which call and what it answered.

    `status` is the HTTP status, 0 where there was no answer.
    """

    status: int = 0

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status


class NotFound(ApiError):
    """404: no such object."""

    status = 404


class KindNotServed(NotFound):
    """The API server does not serve this kind (a CRD is missing, or the apiVersion is wrong)."""


class Forbidden(ApiError):
    """403: the message names the verb and the resource that are missing from the operator's rights."""

    status = 403


class Conflict(ApiError):
    """409, or a JSON patch whose `test` did not hold: the object is not what it was thought to be. Read again."""

    status = 409


class AlreadyExists(Conflict):
    """409 on create: the name is taken."""


class Invalid(ApiError):
    """400 or 422: the request itself is wrong; it is not tried again unchanged."""

    status = 422


class Expired(ApiError):
    """410: the resourceVersion of a list or watch is too old; list again."""

    status = 410


class Unavailable(ApiError):
    """429, 5xx, time-out or no connection: try again. `retry_after` in seconds where the server gave one."""

    status = 503

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class NotLeading(ApiError):
    """This process may not write (any longer): another one leads."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The items of a list and the resourceVersion to watch from. Items carry apiVersion and kind."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


class KubeApi(Protocol):
    """The API server. Every method raises ApiError or one of its subclasses, never the client library's own errors,
    and ends within the adapter's time-out. No method retries: the next pass is the retry."""

    async def get(self, ref: ObjectRef, *, subresource: str = "") -> Object:
        """The object, or its subresource. Raises NotFound, KindNotServed, Forbidden, Unavailable."""
        ...

    async def list(
        self,
        kind: KindRef,
        namespace: str = "",
        *,
        label_selector: str = "",
        names_only: bool = False,
        project: Callable[[Object], Object] | None = None,
    ) -> Listing:
        """All objects of a kind in a namespace, or everywhere, as they stand now and not as any cache knows them;
        `label_selector` as kubectl takes it (`app=a,tier in (b,c),!old`); `names_only` fetches metadata alone;
        `project` trims each item as its page arrives, so that a long list never stands in memory in full."""
        ...

    def watch(
        self,
        kind: KindRef,
        namespace: str,
        resource_version: str,
        *,
        label_selector: str = "",
        names_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Events since a resourceVersion, ending after the adapter's watch time-out; an object that a change of its
        labels brings into the selection is ADDED, one that leaves it is DELETED. Raises Expired, Unavailable."""
        ...

    async def patch(
        self,
        ref: ObjectRef,
        patch: Any,
        kind: PatchType,
        *,
        subresource: str = "",
        urgent: bool = False,
        turn: Turn = Turn.FIRST,
        dry_run: bool = False,
    ) -> Object:
        """Patch and answer the object as it now stands. `urgent` overtakes all other requests; `turn` orders those
        that are not. `dry_run`: everything is checked as for a patch, and nothing is changed; the answer is the object
        as it would stand.

        Raises Conflict where a precondition (metadata.resourceVersion, or a `test` operation) does not hold.
        """
        ...

    async def create(self, ref: ObjectRef, body: Object, *, turn: Turn = Turn.FIRST, dry_run: bool = False) -> Object:
        """Create; `turn` and `dry_run` as for a patch. Raises AlreadyExists."""
        ...


class Documents(Protocol):
    """What the API server tells of itself."""

    async def document(self, path: str) -> Any:
        """The JSON at a path that is no object's, such as /openapi/v3. Raises ApiError, as `KubeApi` does."""
        ...


class OnBehalf(Protocol):
    """The API server, as who writes rollouts may have it used: nothing but what is in the rollout's namespace, with the
    rights of the ServiceAccount that it names."""

    def acting_as(self, behalf: Behalf, *, moves: bool = False) -> KubeApi:
        """The same API server on somebody's behalf. Whatever is asked for outside of the namespace is Invalid. Where an
        account has to be named and none is, everything is Forbidden but for what `moves`: what puts a run that has
        begun where it belongs."""
        ...


class ActingApi(KubeApi, OnBehalf, Protocol):
    """The API server as the operator itself has it, and on behalf of others."""


class Permits(Protocol):
    """What somebody may do."""

    async def missing(self, behalf: Behalf, verb: str, ref: ObjectRef, *, subresource: str = "") -> str:
        """That an account lacks the right to do this to an object (with an empty name: to all of its kind in the
        namespace), and how it is given, in words; empty where it has it. Raises KindNotServed; Forbidden where the
        operator may not ask; Unavailable."""
        ...


class LogsOnBehalf(Protocol):
    """What containers have printed, as an account may read it."""

    def acting_as(self, behalf: Behalf, *, moves: bool = False) -> PodLogs:
        """As of `OnBehalf`."""
        ...


class PodLogs(Protocol):
    """What the containers of pods have printed."""

    async def logs(self, pod: ObjectRef, container: str, *, lines: int, previous: bool = False) -> str:
        """The last lines, fewer of them where they are more than 64 KiB; `previous`: of the container before the one
        that runs. Raises ApiError or one of its subclasses, as `KubeApi` does."""
        ...


class Selections(Protocol):
    """Objects that a selector matches, known without asking the API server again."""

    async def select(self, kind: KindRef, namespace: str, selector: str, *, user: str) -> Sequence[Object]:
        """All objects of a kind in a namespace with these labels (as for `KubeApi.list`), trimmed, as last seen; starts
        watching them on behalf of `user` where that is new. Raises KindNotServed, Forbidden or Unavailable where they
        cannot be seen, or have not been for so long that what is known says nothing of now."""
        ...


class ObjectCache(Protocol):
    """What is known of watched objects without asking the API server again."""

    async def fetch(self, ref: ObjectRef, *, user: str, label: str = "", names_only: bool = False) -> Object | None:
        """The object as last seen, None where there is none; starts watching its kind on behalf of `user` where that
        is new. With `label` only objects that carry this label are watched, and any other is None. Raises
        KindNotServed, Forbidden or Unavailable where the kind cannot be watched."""
        ...

    def update(self, obj: Object) -> None:
        """Take in an object that the API server just answered; older ones are ignored."""
        ...

    def forget(self, user: str) -> None:
        """This user needs no kind any longer."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Prometheus and how to speak to it. `ca` is PEM text; `server_name` what its certificate is for, where that is
    not the host of the address."""

    address: str
    bearer_token: str | None = field(default=None, repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    ca: str | None = field(default=None, repr=False)
    server_name: str | None = None


class MetricsSource(Protocol):
    """Prometheus. Never raises for what a Prometheus or a query can do wrong: that is a Reading with `unknown`."""

    async def read(self, endpoint: Endpoint, query: str, timeout: float) -> Reading:
        """The one number that `query` gives now; ends within `timeout` seconds whatever the other side does."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a Service has answered: the status code, the beginning of the body, and how long all of it took, seconds."""

    status: int
    body: bytes
    seconds: float


class ProbeFailed(Exception):
    """There was no answer; the message says why."""


class Prober(Protocol):
    """Asks a Service of the cluster over HTTP."""

    async def get(
        self, namespace: str, service: str, port: int, path: str, timeout: float, *, tls: bool = False
    ) -> Answer:
        """What it answers to GET, by TLS that is verified where `tls` says so, redirects not followed. Ends within
        `timeout` seconds. Raises ProbeFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments that a series is asked for: from `start` to `end`, seconds since the epoch, every `step` seconds."""

    start: float
    end: float
    step: float


class SeriesUnknown(Exception):
    """A series cannot be had; the message says why."""


class SeriesSource(Protocol):
    """What a Prometheus has recorded."""

    async def series(
        self,
        endpoint: Endpoint,
        query: str,
        moments: Moments,
        timeout: float,
        reduce: Callable[[Reading], Reading] = ...,
    ) -> tuple[float | None, ...]:
        """What `query` gave at each of these moments, None where that is not one finite number. `reduce` makes one
        number of several series. Ends within `timeout` seconds. Raises SeriesUnknown."""
        ...


@dataclass(frozen=True, slots=True)
class AppriseWay:
    """A service that is reached by its Apprise URL, which is secret."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AlertmanagerWay:
    """An Alertmanager that alerts are pushed to."""

    address: str
    bearer_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it is sent; `body` is Markdown, `time` in seconds since the epoch. `id` is the same for the same
    message on the same channel, whatever is restarted."""

    id: str
    title: str
    body: str
    time: float
    labels: Mapping[str, str]
    """What it is about, in words: event, severity, rollout, namespace, audience."""
    urgent: bool = False
    """It waits for nothing that is not, on whatever way."""


class Notifier(Protocol):
    """Reaches people."""

    async def send(self, way: AppriseWay | AlertmanagerWay, message: Outgoing) -> Delivery:
        """What came of it: Sent, Failed where it has certainly not arrived, Uncertain where there is no telling. Ends
        within a bounded time. Never raises for what a service can do wrong, and never says what is secret."""
        ...


class Clock(Protocol):
    """The wall clock; waiting is done with asyncio, whose loop tests can drive."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


__all__ = [
    "ActingApi",
    "AlertmanagerWay",
    "AlreadyExists",
    "Answer",
    "ApiError",
    "AppriseWay",
    "Behalf",
    "Clock",
    "Conflict",
    "Endpoint",
    "Expired",
    "Forbidden",
    "Invalid",
    "KindNotServed",
    "KindRef",
    "KubeApi",
    "Listing",
    "LogsOnBehalf",
    "MetricsSource",
    "Moments",
    "NotFound",
    "NotLeading",
    "Notifier",
    "Object",
    "ObjectCache",
    "ObjectRef",
    "OnBehalf",
    "Outgoing",
    "PatchType",
    "Permits",
    "PodLogs",
    "ProbeFailed",
    "Prober",
    "Selections",
    "SeriesSource",
    "SeriesUnknown",
    "Unavailable",
    "WatchEvent",
]

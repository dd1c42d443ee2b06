"""The KubeApi port on aiohttp: no retries, no client-side rate limit, one time-out, errors that name the call.

Why not the client of the `kubernetes` package: see docs/adr/kube-client.md.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from yarl import URL

from syncrollout.api.words import FIELD_MANAGER
from syncrollout.ports import (
    ApiError,
    Behalf,
    Forbidden,
    Invalid,
    KindNotServed,
    KindRef,
    Listing,
    NotLeading,
    Object,
    ObjectRef,
    PatchType,
    Turn,
    Unavailable,
    WatchEvent,
)
from syncrollout.runtime.discovery import Discovery, Resource
from syncrollout.runtime.kube_errors import NAMELESS, Call, error_of, lacks
from syncrollout.runtime.kubeconfig import Connection, abandon
from syncrollout.runtime.lanes import Lane, Lanes

JSON = "application/json"
REVIEW = KindRef("authorization.k8s.io/v1", "LocalSubjectAccessReview")
NAMES_ONLY = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}"
NAMES_ONLY_LIST = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
PAGE = 500
LONGEST_LEISURE = 60.0
"""Seconds that what nothing waits for may wait for its turn."""
PATIENCE = (1.0, 2.5, 7.0)
"""By how many times the time-out an urgent write waits for its answer, each time that none came the time before: what
hangs in the API server behind a webhook of somebody's goes through only if it is waited for, 10 s by default and 30 s
at most. Then from the beginning, for a connection may be what hangs."""
MOST_LOG = 64 * 1024
"""Bytes of a container's log that are asked for."""
WATCH_GRACE = 15.0
"""Seconds that a watch may last beyond the end it asked the server for, before the connection is given up."""

Observer = Callable[[str, str, int, float], None]
"""Told of every request: verb, resource[/subresource], HTTP status (0: no answer), seconds."""


class AiohttpKubeApi:
    """`syncrollout.ports.KubeApi`, and `close`. Use it inside one event loop.

    `may_write` is asked right before each write goes out, after any waiting; where it says no, NotLeading is raised
    and nothing is sent. `timeout` (seconds) bounds each request, its waiting for a turn included; keep it within the
    Lease's margin (lease_duration - renew_deadline), so that no write of a former leader lands under the next one.
    `dated` is told the Date of each answer, and how many seconds that has taken.
    `watch_silence`: API servers send a bookmark about once a minute; a watch that says nothing for longer than this
    is taken for dead. `require_account`: nothing is done on behalf of those who name no ServiceAccount.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        user_agent: str = "syncrollout",
        may_write: Callable[[], bool] = lambda: True,
        observe: Observer | None = None,
        dated: Callable[[str, float], None] | None = None,
        timeout: float = 5.0,
        watch_timeout: float = 290.0,
        watch_silence: float = 150.0,
        routine_limit: int = 8,
        urgent_limit: int = 32,
        require_account: bool = False,
    ) -> None:
        self._host = connection.host
        self._may_write = may_write
        self._require_account = require_account
        self._behalf: Behalf | None = None
        self._observe = observe
        self._dated = dated
        self._timeout = timeout
        self._patient = True
        self._watch_timeout = watch_timeout
        self._watch_silence = watch_silence
        self._lanes = Lanes(
            lambda limit: connection.session(limit=limit, user_agent=user_agent),
            routine=routine_limit,
            urgent=urgent_limit,
        )
        self._discovery = Discovery(self._discover)
        self._unanswered: dict[str, int] = {}
        """How often in a row an urgent write, by its path, has had no answer in time."""

    def unguarded(self) -> Self:
        """The same client without the question whether this process leads: for the Lease that decides it."""
        other = copy.copy(self)
        other._may_write = lambda: True  # noqa: SLF001 - a copy of itself
        other._patient = False  # noqa: SLF001 - likewise; the Lease has deadlines of its own
        return other

    def acting_as(self, behalf: Behalf, *, moves: bool = False) -> Self:
        """See ports.OnBehalf. The groups of an account follow from its name: where they were given too, an API server
        would want the right to any group, and no constrained impersonation would apply."""
        other = copy.copy(self)
        other._behalf = behalf  # noqa: SLF001 - a copy of itself
        if moves:
            other._require_account = False  # noqa: SLF001 - likewise
        return other

    async def missing(self, behalf: Behalf, verb: str, ref: ObjectRef, *, subresource: str = "") -> str:
        """See ports.Permits."""
        call, _ = await self._locate_all(verb, ref.kind, ref.namespace, name=ref.name, subresource=subresource)
        asked = {"verb": verb, "group": ref.kind.group, "resource": call.resource, "subresource": subresource}
        attributes = {**asked, "namespace": behalf.namespace, "name": ref.name}
        spec = {"user": behalf.user, "groups": behalf.groups, "resourceAttributes": attributes}
        answer = await self.create(ObjectRef(REVIEW, behalf.namespace, ""), {"spec": spec})
        allowed = (answer.get("status") or {}).get("allowed")
        return "" if allowed else lacks(behalf, verb, call.metric, ref.kind.group)

    def crowded(self) -> bool:
        """Whether many routine requests are under way already; what can wait had better."""
        return self._lanes.routine.gate.crowded

    async def close(self) -> None:
        """Close all connections."""
        await self._lanes.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def get(self, ref: ObjectRef, *, subresource: str = "") -> Object:
        """See the port."""
        call, path = await self._locate("get", ref, subresource)
        return tidy(await self._send(call, "GET", path, self._lanes.routine))

    async def logs(self, pod: ObjectRef, container: str, *, lines: int, previous: bool = False) -> str:
        """See ports.PodLogs."""
        call, path = await self._locate("get", pod, "log")
        before = "&previous=true" if previous else ""
        while True:
            query = f"{path}?container={quote(container, safe='')}&tailLines={lines}&limitBytes={MOST_LOG}{before}"
            content = await self._fetch(call, "GET", query, self._lanes.logs, accept="*/*")
            # A kubelet keeps to the bytes by leaving out the end, which is what is wanted: then fewer lines it is.
            if len(content) < MOST_LOG or lines == 1:
                return content.decode("utf-8", "replace")
            lines = max(1, lines // 4)

    async def document(self, path: str) -> Any:
        """See ports.Documents. Nothing waits for it."""
        call = Call("discover", KindRef("", path), "openapi")
        return await self._send(call, "GET", path, self._lanes.routine, turn=Turn.LEISURE)

    async def list(
        self,
        kind: KindRef,
        namespace: str = "",
        *,
        label_selector: str = "",
        names_only: bool = False,
        project: Callable[[Object], Object] | None = None,
    ) -> Listing:
        """See the port. Read in pages of 500."""
        call, path = await self._locate_all("list", kind, namespace)
        accept = NAMES_ONLY_LIST if names_only else JSON
        items: list[Object] = []
        version, token = "", ""
        while True:
            query = f"{path}?limit={PAGE}{_selecting(label_selector)}"
            query += f"&continue={quote(token, safe='')}" if token else ""
            page = await self._send(call, "GET", query, self._lanes.routine, accept=accept)
            for item in page.pop("items", None) or ():
                item["apiVersion"], item["kind"] = kind.api_version, kind.kind
                tidy(item)
                items.append(project(item) if project else item)
            version = version or str(page["metadata"].get("resourceVersion", ""))
            token = page["metadata"].get("continue") or ""
            if not token:
                return Listing(items, version)

    async def watch(
        self,
        kind: KindRef,
        namespace: str,
        resource_version: str,
        *,
        label_selector: str = "",
        names_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        """See the port."""
        call, path = await self._locate_all("watch", kind, namespace)
        query = (
            f"{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds={max(1, int(self._watch_timeout))}"
            f"&resourceVersion={quote(resource_version, safe='')}{_selecting(label_selector)}"
        )
        limits = aiohttp.ClientTimeout(total=self._watch_timeout + WATCH_GRACE, sock_read=self._watch_silence)
        headers = {"Accept": NAMES_ONLY if names_only else JSON}
        started = time.monotonic()
        status = 0
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._lanes.watches.session.get(self._url(query), headers=headers, timeout=limits)
            status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(call, error) from error
        finally:
            self._tell(call, status, started)
        try:
            if status != 200:
                raise self._refused(call, status, await answer.read(), answer)
            async for line in _lines(answer.content):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise error_of(
                        call, int(event["object"].get("code") or 500), json.dumps(event["object"]).encode(), {}
                    )
                item = event["object"]
                item["apiVersion"], item["kind"] = kind.api_version, kind.kind
                yield WatchEvent(event["type"], tidy(item))
        except TimeoutError as error:
            raise Unavailable(f"{call}: the connection fell silent; it is opened anew", status=0) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{call}: the stream broke off: {_words(error)}", status=0) from error
        finally:
            abandon(answer)

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
        """See the port."""
        call, path = await self._locate("patch", ref, subresource, kind)
        lane = self._lanes.urgent if urgent else self._lanes.routine
        query = f"{path}?fieldManager={FIELD_MANAGER}{_trying(dry_run)}"
        return tidy(await self._send(call, "PATCH", query, lane, body=patch, content_type=kind.value, turn=turn))

    async def create(self, ref: ObjectRef, body: Object, *, turn: Turn = Turn.FIRST, dry_run: bool = False) -> Object:
        """See the port. Name and namespace are filled in from `ref` where the body has none."""
        call, path = await self._locate_all("create", ref.kind, ref.namespace, name=ref.name)
        given = {key: value for key, value in (("name", ref.name), ("namespace", ref.namespace)) if value}
        full = {
            "apiVersion": ref.kind.api_version,
            "kind": ref.kind.kind,
            **body,
            "metadata": {**given, **body.get("metadata", {})},
        }
        query = f"{path}?fieldManager={FIELD_MANAGER}{_trying(dry_run)}"
        lane = self._lanes.routine
        return tidy(await self._send(call, "POST", query, lane, body=full, content_type=JSON, turn=turn))

    async def _send(
        self,
        call: Call,
        method: str,
        path: str,
        lane: Lane,
        *,
        accept: str = JSON,
        body: Any = None,
        content_type: str = "",
        turn: Turn = Turn.FIRST,
    ) -> Any:
        """One request and its JSON answer; every failure as an ApiError."""
        content = await self._fetch(
            call, method, path, lane, accept=accept, body=body, content_type=content_type, turn=turn
        )
        try:
            return json.loads(content)
        except ValueError as error:
            raise Unavailable(f"{call}: the answer is not JSON; is a proxy in between?") from error

    async def _fetch(
        self,
        call: Call,
        method: str,
        path: str,
        lane: Lane,
        *,
        accept: str = JSON,
        body: Any = None,
        content_type: str = "",
        turn: Turn = Turn.FIRST,
    ) -> bytes:
        """One request and what it is answered; every failure as an ApiError."""
        headers = {"Accept": accept, **self._headers(call)}
        data = None
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = content_type
        started = time.monotonic()
        status = 0
        my_turn = False
        patient = self._patient and lane is self._lanes.urgent and method != "GET"
        wait = self._timeout * (PATIENCE[self._unanswered.get(path, 0) % len(PATIENCE)] if patient else 1.0)
        try:
            patience = LONGEST_LEISURE if turn is Turn.LEISURE else wait
            async with asyncio.timeout(patience) as limit, lane.gate.passed(turn):
                my_turn = True
                if turn is Turn.LEISURE:
                    limit.reschedule(asyncio.get_running_loop().time() + self._timeout)
                if method != "GET" and not self._may_write():
                    raise NotLeading(f"{call}: not sent, for this process does not lead (any longer)")
                async with lane.session.request(method, self._url(path), data=data, headers=headers) as answer:
                    content = await answer.read()
                    status = answer.status
                    if self._dated is not None:
                        self._dated(answer.headers.get("Date", ""), time.monotonic() - started)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if patient and isinstance(error, TimeoutError):
                self._unanswered[path] = self._unanswered.get(path, 0) + 1
            raise self._unreachable(call, error, waiting=not my_turn, waited=wait) from error
        finally:
            self._tell(call, status, started)
        self._unanswered.pop(path, None)
        if status >= 400:
            raise self._refused(call, status, content, answer)
        return content

    def _headers(self, call: Call) -> dict[str, str]:
        """In whose name it is done. Raises Forbidden where nobody is named who has to be."""
        if self._behalf is None:
            return {}
        if self._behalf.account:
            return {"Impersonate-User": self._behalf.user}
        if self._require_account:
            raise Forbidden(f"{call}: not asked for, {NAMELESS}")
        return {}

    async def _locate(
        self, verb: str, ref: ObjectRef, subresource: str = "", patch_type: PatchType | None = None
    ) -> tuple[Call, str]:
        """The path of one object."""
        call, path = await self._locate_all(
            verb, ref.kind, ref.namespace, name=ref.name, subresource=subresource, patch_type=patch_type
        )
        return call, f"{path}/{_segment(ref.name, ref)}" + (f"/{subresource}" if subresource else "")

    async def _locate_all(
        self,
        verb: str,
        kind: KindRef,
        namespace: str,
        *,
        name: str = "",
        subresource: str = "",
        patch_type: PatchType | None = None,
    ) -> tuple[Call, str]:
        """The path of a kind, in a namespace or everywhere."""
        resource: Resource = await self._discovery.find(kind)
        inside = namespace if resource.namespaced else ""
        call = Call(verb, kind, resource.plural, inside, name, subresource, patch_type, self._behalf)
        if self._behalf is not None and inside != self._behalf.namespace:
            why = f"in namespace {inside}" if inside else "a kind of the whole cluster"
            raise Invalid(f"{call}: {kind.kind} is {why}, and a rollout looks at its own namespace alone")
        if inside:
            return call, f"{resource.root}/namespaces/{_segment(inside, call)}/{resource.plural}"
        if resource.namespaced and (name or verb == "create"):
            raise Invalid(f"{call}: a {kind.kind} stands in a namespace, and none is given")
        return call, f"{resource.root}/{resource.plural}"

    async def _discover(self, kind: KindRef, path: str) -> Any:
        # Never behind the gate: an urgent request may be waiting for it.
        call = Call("discover", kind, "discovery")
        return await self._send(call, "GET", path, self._lanes.urgent)

    def _url(self, path: str) -> URL:
        return URL(self._host + path, encoded=True)

    def _refused(self, call: Call, status: int, content: bytes, answer: aiohttp.ClientResponse) -> ApiError:
        error = error_of(call, status, content, answer.headers)
        if isinstance(error, KindNotServed):
            self._discovery.forget(call.kind)
        return error

    def _unreachable(
        self, call: Call, error: Exception, *, waiting: bool = False, waited: float | None = None
    ) -> Unavailable:
        if waiting and isinstance(error, TimeoutError):
            text = (
                "was not sent: the API server is busy with other requests of this operator, and it never had its turn"
            )
            return Unavailable(f"{call}: {text}", status=0)
        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
            why = f"no answer within {waited or self._timeout:g} s"
        else:
            why = _words(error)
        return Unavailable(f"{call}: the API server at {self._host} cannot be reached: {why}", status=0)

    def _tell(self, call: Call, status: int, started: float) -> None:
        if self._observe is not None:
            self._observe(call.verb, call.metric, status, time.monotonic() - started)


def _segment(name: str, what: object) -> str:
    """A name as part of a path; what an API server would not take for a name is refused here, for it could mean
    another path."""
    if not name or name in {".", ".."} or "/" in name or "%" in name:
        raise Invalid(f"{what}: {name!r} is not a name of a Kubernetes object")
    return quote(name, safe="")


def _selecting(label_selector: str) -> str:
    return f"&labelSelector={quote(label_selector, safe='')}" if label_selector else ""


def _trying(dry_run: bool) -> str:
    return "&dryRun=All" if dry_run else ""


def tidy(item: Object) -> Object:
    """Drop what is bulky and nobody reads: who owns which field, and kubectl's copy of the manifest."""
    metadata = item.get("metadata")
    if metadata:
        metadata.pop("managedFields", None)
        annotations = metadata.get("annotations")
        if annotations and annotations.pop(LAST_APPLIED, None) is not None and not annotations:
            del metadata["annotations"]
    return item


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length; StreamReader's own `readline` refuses those over 128 KiB, which objects may well be."""
    rest = bytearray()
    async for chunk in content.iter_any():
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            rest += chunk[start:end]
            if rest:
                yield bytes(rest)
                rest.clear()
            start = end + 1
        rest += chunk[start:]


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__

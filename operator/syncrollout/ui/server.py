"""The server of the page: its files, what rollouts say as JSON, and live updates. GET and HEAD alone; what is read
comes from the operator's memory, and series from Prometheus as `recordings` says.

On a port of its own, so that neither probes nor scrapes nor alerts suffer by it: whatever viewers do, there are at most
`CONNECTIONS` of theirs, each of which ends after a while.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from syncrollout.cli.answers import Failed
from syncrollout.runtime.certificates import ServedCertificate
from syncrollout.runtime.connections import Connections, Pace
from syncrollout.runtime.doors import Denied, Visitor
from syncrollout.runtime.reviews import Right
from syncrollout.runtime.rollouts import Key
from syncrollout.runtime.serve import STOP_SECONDS, listen_error
from syncrollout.ui.charts import Stretch
from syncrollout.ui.gate import HEADERS, Gate
from syncrollout.ui.looking import Looking
from syncrollout.ui.recordings import Recordings
from syncrollout.ui.rows import order
from syncrollout.ui.stream import Streams, encode

log = logging.getLogger(__name__)

CONNECTIONS: Final = 128
"""Of all viewers: a browser opens six at most for one page."""
LIFETIME: Final = 60.0
"""Seconds that a connection lasts; the browser opens another."""
VIEWERS: Final = 48
"""Streams of live updates."""
STREAM_LIFETIME: Final = 900.0
"""Seconds that one lasts before the page asks for it anew: a token that was changed counts from then on."""
A_SECOND: Final = 20.0
"""Questions about rollouts that are answered, by all viewers together: a page asks one every 15 s."""
AT_ONCE: Final = 80.0
"""The same of one moment, when it was quiet before."""
WRITE_SECONDS: Final = 10.0
"""How long a viewer may take to receive an update."""
MOST_HEADER: Final = 8190
_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
VISITOR: Final = web.RequestKey("visitor", Visitor)
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class Outcome(StrEnum):
    """What became of a request."""

    SERVED = "served"
    REFUSED = "refused"
    NOT_FOUND = "not_found"
    CROWDED = "crowded"


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    kind: str
    tag: str


class UiServer:
    """`port` tells where, once started. `observe` is told the outcome of every request."""

    def __init__(
        self,
        address: str,
        *,
        gate: Gate,
        looking: Looking,
        recordings: Recordings,
        observe: Callable[[Outcome], None],
        viewers: int = VIEWERS,
        connections: int = CONNECTIONS,
        pace: Pace | None = None,
    ) -> None:
        self.address = address
        self.port = 0
        self._gate = gate
        self._looking = looking
        self._recordings = recordings
        self._streams = Streams(looking)
        self._pace = pace or Pace(A_SECOND, AT_ONCE)
        self._observe = observe
        self._most_viewers = viewers
        self._backlog = connections
        self._files: dict[str, _File] = {}
        self._server: asyncio.Server | None = None
        app = web.Application(middlewares=[self._guard], client_max_size=1)
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/api/v1/rollouts", self._fleet)
        app.router.add_get("/api/v1/rollouts/{namespace}/{name}", self._rollout)
        app.router.add_get("/api/v1/rollouts/{namespace}/{name}/series", self._series)
        app.router.add_get("/api/v1/stream", self._stream)
        app.router.add_get("/{path:.*}", self._file)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=STOP_SECONDS,
            auto_decompress=False,
            handler_cancellation=True,  # who leaves makes room at once
            max_field_size=MOST_HEADER,
            keepalive_timeout=15.0,
        )
        self._connections = Connections(
            self._protocol, most=connections, lifetime=LIFETIME, crowded=lambda: observe(Outcome.CROWDED)
        )

    @property
    def viewers(self) -> int:
        """How many look at live updates."""
        return self._streams.viewers

    async def start(self, port: int, certificate: ServedCertificate | None = None) -> None:
        """Begin to answer, by TLS with a certificate; port 0 takes any free one. Raises CannotListen (an OSError)."""
        self._connections.certificate = certificate
        self._files = dict(_files(files("syncrollout.ui") / "static"))
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connections, self.address, port, backlog=self._backlog
            )
        except OSError as error:
            await self._runner.cleanup()
            raise listen_error(self.address, port, "ui-listen-port", error) from error
        self.port = int(self._server.sockets[0].getsockname()[1])
        who = "with the token" if self._gate.asks else "without a token"
        scheme = "http" if certificate is None else "https"
        log.info("the page is at %s://%s:%d, to be looked at %s", scheme, self.address, self.port, who)

    async def stop(self) -> None:
        """Answer nothing any more; ends within a second."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._streams.close()
        await self._recordings.close()
        await self._runner.cleanup()
        self._connections.cut()

    def _protocol(self) -> asyncio.Protocol:
        assert self._runner.server is not None
        return self._runner.server()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        found = request.match_info
        private = found.http_exception is None and found.handler != self._file
        refusal = self._gate.refusal(request, private=private)
        if refusal is not None:
            self._observe(Outcome.REFUSED)
            return refusal
        try:
            request[VISITOR] = await self._gate.visitor(request) if private else Visitor()
        except Denied as denied:
            return self._denied(denied)
        if private and not self._pace.allows():
            self._observe(Outcome.CROWDED)
            return web.Response(status=429, text="too many requests\n", headers={"Retry-After": "1"})
        try:
            answer = await handler(request)
        except Denied as denied:
            return self._denied(denied)
        except web.HTTPException as error:
            self._observe(Outcome.NOT_FOUND)
            return web.Response(status=error.status, text=f"{error.reason}\n", headers=_allowed(error))
        self._observe(Outcome.CROWDED if answer.status == 503 else Outcome.SERVED)
        return answer

    def _denied(self, denied: Denied) -> web.Response:
        self._observe(Outcome.REFUSED)
        return web.Response(status=denied.status, text=f"{denied}\n", headers=denied.headers)

    async def _only(self, request: web.Request) -> frozenset[str] | None:
        """Namespaces whose rollouts are listed for somebody; None for all. Raises Denied (503)."""
        visitor: Visitor = request[VISITOR]
        return await visitor.among(self._looking.namespaces, "list")

    async def _seen(self, request: web.Request, namespace: str, name: str) -> Key:
        """A rollout that somebody may look at. Raises Denied (403, 503), HTTPNotFound."""
        key, visitor = _key(namespace, name), request[VISITOR]
        await visitor.must(Right("list"), Right("get", namespace, name))
        return key

    async def _file(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["path"] or "index.html")
        if file is None:
            raise web.HTTPNotFound
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if file.tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, content_type=file.kind, charset="utf-8", headers=headers)

    async def _fleet(self, request: web.Request) -> web.Response:
        only = await self._only(request)
        rows = sorted(await self._streams.fleet(only), key=order)
        told = {"about": self._looking.about, "rows": rows, "total": self._streams.total(only)}
        return _json({**told, "limited": only is not None})

    async def _rollout(self, request: web.Request) -> web.Response:
        shown = self._looking.view(
            await self._seen(request, request.match_info["namespace"], request.match_info["name"])
        )
        if shown is None:
            raise web.HTTPNotFound
        return _json({"about": self._looking.about, "rollout": shown})

    async def _series(self, request: web.Request) -> web.Response:
        key = await self._seen(request, request.match_info["namespace"], request.match_info["name"])
        try:
            stretch = Stretch(request.query.get("stretch", Stretch.PHASE.value))
        except ValueError as error:
            raise web.HTTPBadRequest from error
        try:
            seen = self._looking.find(key)
        except Failed as error:
            return _json({"start": 0, "step": 1, "stretch": stretch.value, "series": [], "why": str(error)})
        if seen is None:
            raise web.HTTPNotFound
        return _json(await self._recordings.of(seen, stretch))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        named = request.query.get("rollout", "")
        key = await self._seen(request, *named.partition("/")[::2]) if named else None
        only = None if named else await self._only(request)
        if self._streams.viewers >= self._most_viewers:
            text = f"{self._most_viewers} viewers are looking already: try again\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "10"})
        answer = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        visitor: Visitor = request[VISITOR]
        # What somebody may see is reviewed as often as everything else that he may do.
        lifetime = STREAM_LIFETIME if visitor.reviews is None else min(STREAM_LIFETIME, visitor.reviews.keep)
        self._connections.keep(request.transport, lifetime + LIFETIME)
        await answer.prepare(request)
        if request.method == "HEAD":
            return answer
        following = self._streams.follow(key, only)
        ends = asyncio.get_running_loop().time() + lifetime
        try:
            async for name, body in following:
                async with asyncio.timeout(WRITE_SECONDS):
                    await answer.write(b"event: " + (name or "calm").encode() + b"\ndata: " + body + b"\n\n")
                if asyncio.get_running_loop().time() >= ends:
                    break
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            await following.aclose()
        return answer


async def _add_headers(request: web.Request, answer: web.StreamResponse) -> None:
    answer.headers.update(HEADERS)
    answer.headers.setdefault("Cache-Control", "no-store")


def _json(value: object) -> web.Response:
    return web.Response(body=encode(value), content_type="application/json", charset="utf-8")


def _allowed(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}


def _key(namespace: str, name: str) -> Key:
    """Raises HTTPNotFound for what is no name."""
    if not _NAME.fullmatch(namespace) or not _NAME.fullmatch(name) or len(namespace) > 63 or len(name) > 253:
        raise web.HTTPNotFound
    return Key(namespace, name)


def _files(folder: Traversable, under: str = "") -> list[tuple[str, _File]]:
    """The files of the page by their paths; all of them are small, and read once."""
    found: list[tuple[str, _File]] = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _files(each, f"{under}{each.name}/")
            continue
        kind = _TYPES.get(each.name.rpartition(".")[2])
        if kind is not None:
            body = each.read_bytes()
            found.append((f"{under}{each.name}", _File(body, kind, f'"{hashlib.sha256(body).hexdigest()[:20]}"')))
    return found


__all__ = ["Outcome", "Pace", "UiServer"]

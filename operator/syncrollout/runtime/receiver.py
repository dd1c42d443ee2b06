"""The receiver of alerts: Alertmanager posts here what fires, and the affected rollouts decide at once.

On a port of its own: what reaches it decides about production traffic, so it is shut off from probes and scrapes by
network policy, needs a bearer token (or a client certificate), and can be worn out without wearing out those. Whoever
is not let in gets nothing parsed. A token that the API server knows counts for the namespaces whose alerts its account
may create; the shared one counts for all. Each connection carries one request and ends after `LIFETIME` seconds,
whatever the other side does, and there are at most `CONNECTIONS` of them: aiohttp itself waits for the rest of a
request for as long as it takes to come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum

from aiohttp import web
from pydantic import ValidationError

from syncrollout.observe.alerts import Payload, Taken
from syncrollout.runtime.certificates import ServedCertificate
from syncrollout.runtime.connections import Connections
from syncrollout.runtime.doors import Denied, Door, Visitor
from syncrollout.runtime.reviews import Right
from syncrollout.runtime.rollouts import Key
from syncrollout.runtime.serve import STOP_SECONDS, listen_error

log = logging.getLogger(__name__)

PATH = "/alertmanager"
MOST_BYTES = 1 << 20
"""Of one payload. An alert takes about 1 kB."""
LIFETIME = 10.0
CONNECTIONS = 64
SAID_WRONG = 200
NAMESPACE = "namespace"
PUSH = Right("create", subresource="alerts")
"""What somebody needs to push alerts, in the namespace that they name."""
MOST_NAMESPACES = 32
"""Of one payload by somebody whose rights are asked for namespace by namespace."""


class Outcome(StrEnum):
    """What became of a request."""

    TAKEN = "taken"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    UNREVIEWED = "unreviewed"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    STANDBY = "standby"
    CROWDED = "crowded"


class AlertReceiver:
    """POST of Alertmanager's payloads (version 4). `port` tells where, once started.

    `take` carries a payload out; `acts` says whether this process acts: one that does not answers 503, and Alertmanager
    tries again until it meets the one that does; so it does where another replica acts for some of what it was about.
    `observe` is told the outcome of every request.
    """

    def __init__(
        self,
        address: str,
        *,
        take: Callable[[Payload], Taken[Key]],
        acts: Callable[[], bool],
        observe: Callable[[Outcome], None],
        lifetime: float = LIFETIME,
        connections: int = CONNECTIONS,
    ) -> None:
        self.address = address
        self.port = 0
        self._door: Door | None = None
        self._take = take
        self._acts = acts
        self._observe = observe
        self._backlog = connections
        self._server: asyncio.Server | None = None
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_post(PATH, self._receive)
        # Nothing is unpacked: a small body could become a very large one before anybody has looked at the token.
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=STOP_SECONDS, auto_decompress=False
        )
        self._connections = Connections(
            self._serve, most=connections, lifetime=lifetime, crowded=lambda: observe(Outcome.CROWDED)
        )

    async def start(self, port: int, door: Door, certificate: ServedCertificate | None = None) -> None:
        """Begin to answer those whom the door lets in, by TLS with a certificate; port 0 takes any free one. Raises
        CannotListen (an OSError)."""
        self._door = door
        self._connections.certificate = certificate
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connections, self.address, port, backlog=self._backlog
            )
        except OSError as error:
            await self._runner.cleanup()
            raise listen_error(self.address, port, "alertmanager-listen-port", error) from error
        self.port = int(self._server.sockets[0].getsockname()[1])
        scheme = "http" if certificate is None else "https"
        log.info("alerts are taken in at %s://%s:%d%s", scheme, self.address, self.port, PATH)

    async def stop(self) -> None:
        """Answer nothing any more; ends within a second. Does nothing where it does not run."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._runner.cleanup()
        self._connections.cut()

    def _serve(self) -> asyncio.Protocol:
        assert self._runner.server is not None
        return self._runner.server()

    async def _receive(self, request: web.Request) -> web.Response:
        answer, outcome = await self._answer(request)
        self._observe(outcome)
        answer.force_close()
        return answer

    async def _answer(self, request: web.Request) -> tuple[web.Response, Outcome]:
        assert self._door is not None
        try:
            visitor = await self._door.admit(request.headers.get("Authorization", ""))
        except Denied as denied:
            return _denied(denied)
        try:
            if (request.content_length or 0) > MOST_BYTES:
                raise web.HTTPRequestEntityTooLarge(MOST_BYTES, request.content_length or 0)
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            text = f"more than {MOST_BYTES} bytes: set max_alerts in the webhook_config, or group by more labels"
            return _say(413, text), Outcome.TOO_LARGE
        try:
            payload = Payload.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            text = f"not a payload of Alertmanager, version 4: {where}{': ' if where else ''}{first['msg']}"
            return _say(400, text[:SAID_WRONG]), Outcome.MALFORMED
        if not self._acts():
            return _say(503, "another replica acts: try again", **{"Retry-After": "1"}), Outcome.STANDBY
        try:
            mine = await _within(visitor, payload)
        except Denied as denied:
            return _denied(denied)
        taken = self._take(mine)
        if taken.others:
            return _say(503, "another replica acts for some of it: try again", **{"Retry-After": "1"}), Outcome.STANDBY
        text = f"{taken.news} new, {taken.repeated} known already, {taken.unasked} that no rollout asks about"
        left_out = len(payload.alerts) - len(mine.alerts)
        more = f", {left_out} of namespaces that this account may push none for" if left_out else ""
        return _say(200, text + more), Outcome.TAKEN


async def _within(visitor: Visitor, payload: Payload) -> Payload:
    """The alerts of a payload that somebody may push: an alert is its label `namespace`'s, and without that label
    everybody's. Raises Denied (403, 503) where he may push none of them."""
    named = {alert.labels.get(NAMESPACE, "") for alert in payload.alerts}
    if len(named) > MOST_NAMESPACES and visitor.person is not None:
        await visitor.must(PUSH)
    mine = await visitor.among(named - {""}, PUSH.verb, PUSH.subresource)
    if mine is None:
        return payload
    alerts = [alert for alert in payload.alerts if alert.labels.get(NAMESPACE, "") in mine]
    if payload.alerts and not alerts:
        await visitor.must(*(Right(PUSH.verb, each, subresource=PUSH.subresource) for each in sorted(named)))
    return payload.model_copy(update={"alerts": type(payload.alerts)(alerts)})


def _denied(denied: Denied) -> tuple[web.Response, Outcome]:
    outcomes = {401: Outcome.UNAUTHORIZED, 403: Outcome.FORBIDDEN}
    return _say(denied.status, str(denied), **denied.headers), outcomes.get(denied.status, Outcome.UNREVIEWED)


def _say(status: int, text: str, **headers: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers=headers)


__all__ = ["PATH", "AlertReceiver", "Outcome"]

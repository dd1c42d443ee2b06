"""The receiver of alerts: Alertmanager posts here what fires, and the affected rollouts decide at once.

On a port of its own: what reaches it decides about production traffic, so it is shut off from probes and scrapes by
network policy, needs a bearer token, and can be worn out without wearing out those. Whoever has no token gets nothing
parsed. Each connection carries one request and ends after `LIFETIME` seconds, whatever the other side does, and there
are at most `CONNECTIONS` of them: aiohttp itself waits for the rest of a request for as long as it takes to come.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from aiohttp import web
from pydantic import ValidationError

from syncrollout.observe.alerts import Payload, Taken
from syncrollout.runtime.connections import Connections
from syncrollout.runtime.rollouts import Key
from syncrollout.runtime.serve import STOP_SECONDS, listen_error

log = logging.getLogger(__name__)

PATH = "/alertmanager"
MOST_BYTES = 1 << 20
"""Of one payload. An alert takes about 1 kB."""
LIFETIME = 10.0
CONNECTIONS = 64
LEAST_TOKEN = 16
"""Characters of a token; a shorter one can be guessed."""
SAID_WRONG = 200


class Outcome(StrEnum):
    """What became of a request."""

    TAKEN = "taken"
    UNAUTHORIZED = "unauthorized"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    STANDBY = "standby"
    CROWDED = "crowded"


class TokenInvalid(Exception):
    """The file holds no token; the message says why and what to do."""


class BearerToken:
    """The token in a file. A file that changes (a Secret that is rotated) is read again; one that becomes unreadable
    leaves the last good token in force. `purpose` is what it is for, in words. Raises TokenInvalid where there is none
    to begin with."""

    def __init__(self, path: Path, purpose: str = "alerts") -> None:
        self._path = path
        self._purpose = purpose
        self._seen: tuple[int, int] | None = None
        self._complained = False
        self._digest = self._read()

    def opens(self, authorization: str) -> bool:
        """Whether a request with this Authorization header may come in. Takes as long whatever is wrong with it."""
        self._refresh()
        scheme, _, token = authorization.partition(" ")
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(digest, self._digest) and scheme.lower() == "bearer"

    def _refresh(self) -> None:
        try:
            if self._version() != self._seen:
                self._digest = self._read()
                log.info("the token for %s was read anew from %s", self._purpose, self._path)
            self._complained = False
        except (OSError, TokenInvalid) as error:
            if not self._complained:
                log.warning("the token for %s stays what it was: %s", self._purpose, error)
            self._complained = True

    def _version(self) -> tuple[int, int]:
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_ino

    def _read(self) -> bytes:
        try:
            seen, token = self._version(), self._path.read_bytes().strip()
        except OSError as error:
            msg = f"{self._path} cannot be read ({error.strerror}): mount the Secret with the token there"
            raise TokenInvalid(msg) from error
        if len(token) < LEAST_TOKEN:
            msg = f"{self._path} holds {len(token)} characters, a token needs at least {LEAST_TOKEN}: make a random one"
            raise TokenInvalid(msg)
        self._seen = seen
        return hashlib.sha256(token).digest()


class AlertReceiver:
    """POST of Alertmanager's payloads (version 4). `port` tells where, once started.

    `take` carries a payload out; `acts` says whether this process acts: one that does not answers 503, and Alertmanager
    tries again until it meets the one that does. `observe` is told the outcome of every request.
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
        self._token: BearerToken | None = None
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

    async def start(self, port: int, token: BearerToken) -> None:
        """Begin to answer those who have the token; port 0 takes any free one. Raises CannotListen (an OSError)."""
        self._token = token
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connections, self.address, port, backlog=self._backlog
            )
        except OSError as error:
            await self._runner.cleanup()
            raise listen_error(self.address, port, "alertmanager-listen-port", error) from error
        self.port = int(self._server.sockets[0].getsockname()[1])
        log.info("alerts are taken in at http://%s:%d%s", self.address, self.port, PATH)

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
        if self._token is None or not self._token.opens(request.headers.get("Authorization", "")):
            challenge = {"WWW-Authenticate": "Bearer"}
            return _say(401, "the bearer token is missing or wrong", **challenge), Outcome.UNAUTHORIZED
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
        taken = self._take(payload)
        text = f"{taken.news} new, {taken.repeated} known already, {taken.unasked} that no rollout asks about"
        return _say(200, text), Outcome.TAKEN


def _say(status: int, text: str, **headers: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers=headers)


__all__ = ["PATH", "AlertReceiver", "BearerToken", "Outcome", "TokenInvalid"]

"""The small HTTP server of the operator: is it alive, is it ready, and its metrics. In the same event loop as the rest,
so that a loop which hangs answers no probe.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

from syncrollout.runtime.certificates import ServedCertificate
from syncrollout.runtime.doors import Denied, Door
from syncrollout.runtime.reviews import Right

log = logging.getLogger(__name__)

SCRAPE: Final = Right("get", path="/metrics")
Check = Callable[[], str | None]
"""None while all is well, else one sentence that says what is not. Must not block."""

STOP_SECONDS = 0.5
"""How long answers under way may take once the server stops."""


class CannotListen(OSError):
    """The address or port cannot be listened on; the message says why and what to do."""

    def __init__(self, message: str, cause: OSError) -> None:
        super().__init__(message)
        self.errno = cause.errno


class HealthServer:
    """/livez, /readyz and /metrics on one port.

    A probe answers 200 while all of its checks are well, else 503 with a line for each that is not. `notes` are told by
    /readyz to whoever reads it, and make nothing unready. /metrics is for whom the `door` lets in, and who may get that
    path; probes are for everybody. `port` 0 takes any free port; `port` tells which, once started.
    """

    def __init__(
        self,
        address: str,
        port: int,
        *,
        registry: CollectorRegistry,
        live: Mapping[str, Check],
        ready: Mapping[str, Check],
        notes: Mapping[str, Check] | None = None,
        door: Door | None = None,
        certificate: ServedCertificate | None = None,
    ) -> None:
        self.address = address
        self.port = port
        self._registry = registry
        self._door = door or Door()
        self._tls = certificate.context if certificate is not None else None
        self._scrape: asyncio.Task[bytes] | None = None
        app = web.Application()
        app.router.add_get("/livez", _probe(live))
        app.router.add_get("/readyz", _probe(ready, notes or {}))
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=STOP_SECONDS)

    async def start(self) -> None:
        """Begin to answer. Raises CannotListen (an OSError)."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.address, self.port, ssl_context=self._tls).start()
        except OSError as error:
            await self._runner.cleanup()
            raise listen_error(self.address, self.port, "listen-port", error) from error
        self.port = int(self._runner.addresses[0][1])
        log.info("health and metrics at %s://%s:%d", "https" if self._tls else "http", self.address, self.port)

    async def stop(self) -> None:
        """Answer nothing any more; ends within a second. A second call does nothing."""
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        try:
            await (await self._door.admit(request.headers.get("Authorization", ""))).must(SCRAPE)
        except Denied as denied:
            return web.Response(status=denied.status, text=f"{denied}\n", headers=denied.headers)
        # Thousands of series take a tenth of a second and more to write: in a thread, once for all who ask meanwhile.
        if self._scrape is None or self._scrape.done():
            self._scrape = asyncio.create_task(asyncio.to_thread(generate_latest, self._registry), name="scrape")
        body = await asyncio.shield(self._scrape)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def _probe(
    checks: Mapping[str, Check], notes: Mapping[str, Check] = MappingProxyType({})
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        failing, noted = _lines(checks), _lines(notes)
        return web.Response(status=503 if failing else 200, text=(failing or "ok\n") + noted)

    return answer


def _lines(checks: Mapping[str, Check]) -> str:
    """One for each that is not well."""
    return "".join(f"{name}: {why}\n" for name, check in checks.items() if (why := _run(check)) is not None)


def _run(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a check that breaks is a check that fails, and says how
        return f"the check itself failed: {type(error).__name__}: {error}"


def listen_error(address: str, port: int, setting: str, error: OSError) -> CannotListen:
    """Why a port cannot be listened on, in words that name the setting which chooses it."""
    return CannotListen(_why(address, port, setting, error), error)


def _why(address: str, port: int, setting: str, error: OSError) -> str:
    where = f"{address}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another process; choose another port with --{setting} (0 takes any free one)"
    if error.errno == errno.EACCES:
        return f"{where} needs more rights than this process has; choose a port above 1023 with --{setting}"
    return f"cannot listen on {where}: {error.strerror or error}; choose another with --listen-address"


__all__ = ["STOP_SECONDS", "CannotListen", "Check", "HealthServer", "listen_error"]

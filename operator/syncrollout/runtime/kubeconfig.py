"""How the API server is reached and with whose credentials: everything that the `kubernetes` package knows about
KUBECONFIG, ServiceAccounts, exec plugins and proxies, handed on as plain aiohttp sessions.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes import client, config
from kubernetes.client.rest import should_bypass_proxies

logger = logging.getLogger(__name__)

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REFRESH_SECONDS = 30.0
"""How old the Authorization header may be before the hook of `kubernetes` is asked again. The package itself renews
tokens minutes before they end, so the header in hand stays good meanwhile."""
KEEPALIVE_SECONDS = 45.0
"""Idle connections are dropped before the load balancers in front of API servers (60 s and more) drop them: a PATCH
on a connection that is already dead is an error, not a retry."""
UNDELIVERED_SECONDS = 5.0
"""How long the kernel keeps on trying to deliver what the other side has not taken, whether or not anybody still waits
for an answer: longer, and a write that was given up in an outage could arrive when others have long gone on. No more
than the default of --late-effect."""
_FAREWELLS_HANG = sys.version_info < (3, 12, 8) or (3, 13, 0) <= sys.version_info < (3, 13, 1)
"""Whether this Python lets a TLS connection that was given up stand until a hanging peer answers its farewell; aiohttp
then cuts it off after two seconds (python/cpython#118960)."""


class ConnectionProblem(Exception):
    """There are no usable connection settings; the message says where they were looked for and what was wrong."""


class _NamedContext(ssl.SSLContext):
    """Speaks TLS with `tls-server-name` of the kubeconfig instead of the host in its URL."""

    name: str = ""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        kwargs["server_hostname"] = self.name
        return super().wrap_bio(*args, **kwargs)


class Connection:
    """Settings and credentials of one API server. Made by `Connection.load`.

    `host` is its URL without a trailing slash, `namespace` the one of the ServiceAccount or of the kubeconfig context
    (else `default`), `source` where the settings came from.
    """

    def __init__(self, read: Callable[[], Any], namespace: str, source: str) -> None:
        self._read = read
        self._config: Any = read()  # kubernetes.client.Configuration, whose hints know nothing of its refresh hook
        self.namespace = namespace
        self.source = source
        self.host: str = str(self._config.host).rstrip("/")
        self._ssl = self._ssl_context() if self.host.startswith("https") else None
        self._header = self._authorization()
        self._asked_at = time.monotonic()
        self._refreshing: asyncio.Task[None] | None = None

    @classmethod
    def load(cls, kubeconfig: str | None = None, context: str | None = None) -> Connection:
        """Settings from `kubeconfig`, else $KUBECONFIG, else the pod's ServiceAccount, else ~/.kube/config.

        Blocks (an exec plugin may run), so call it before the event loop matters. Raises ConnectionProblem.
        """
        path = kubeconfig or os.environ.get("KUBECONFIG", "")
        in_cluster = not path and bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
        if in_cluster:
            source = "in-cluster"
            read: Callable[[], Any] = _read_in_cluster
            namespace: Callable[[], str] = _in_cluster_namespace
        else:
            path = source = path or "~/.kube/config"
            read, namespace = partial(_read_file, path, context), partial(_context_namespace, path, context)

        try:
            return cls(read, namespace(), source)
        except ConnectionProblem:
            raise
        except Exception as error:
            hint = "set KUBECONFIG to a kubeconfig file, or run in a pod with a ServiceAccount token"
            raise ConnectionProblem(f"no usable connection to an API server from {source}: {error}; {hint}") from error

    def session(self, *, limit: int = 100, user_agent: str = "syncrollout") -> aiohttp.ClientSession:
        """A session of its own connection pool (`limit` connections at most, 0 for no bound) that sends the current
        credentials and, where they are refused once (401), reads them anew and tries again. The caller closes it.

        Needs a running event loop. Takes absolute URLs (`host` + path) only; proxies of the environment are heeded.
        """
        proxy = self._config.proxy
        if proxy and self._config.no_proxy and should_bypass_proxies(self.host, self._config.no_proxy):
            proxy = None
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limit,
                ssl=self._ssl or True,
                keepalive_timeout=KEEPALIVE_SECONDS,
                ttl_dns_cache=60,
                enable_cleanup_closed=_FAREWELLS_HANG,
                socket_factory=_socket,
            ),
            headers={"User-Agent": user_agent},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(self._authenticate,),
            proxy=proxy,
            trust_env=False,
        )

    async def _authenticate(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if time.monotonic() - self._asked_at > REFRESH_SECONDS:
            self._refresh_in_background()
        header = self._header
        if header:
            request.headers["Authorization"] = header
        response = await send(request)
        if response.status != 401:
            return response
        await self._renew(header)
        if self._header == header and not self._config.cert_file:
            return response
        # The connection goes too: a client certificate counts for as long as its connection lives.
        abandon(response)
        if self._header:
            request.headers["Authorization"] = self._header
        return await send(request)

    def _refresh_in_background(self) -> None:
        """One at a time, and nobody waits: what is in hand is still good (see REFRESH_SECONDS)."""
        if self._refreshing is None or self._refreshing.done():
            self._asked_at = time.monotonic()
            if self._config.refresh_api_key_hook is not None:
                self._refreshing = asyncio.create_task(self._refresh(), name="api-credentials")

    async def _refresh(self) -> None:
        try:
            self._header = await asyncio.to_thread(self._authorization)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the header in hand is still tried
            logger.warning("the credentials from %s could not be renewed: %s", self.source, error)

    async def _renew(self, refused: str | None) -> None:
        """Read everything anew, unless another request already did so since `refused` was sent. One at a time."""
        if self._header != refused:
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._reread(), name="api-credentials")
        await asyncio.shield(self._refreshing)

    async def _reread(self) -> None:
        try:
            self._config = await asyncio.to_thread(self._read)
            self._header = await asyncio.to_thread(self._authorization)
            if self._ssl is not None and self._config.cert_file:
                self._ssl.load_cert_chain(self._config.cert_file, self._config.key_file)
        except Exception as error:  # noqa: BLE001 - as above: whoever waits answers with the 401 itself
            logger.warning(
                "the API server refused the credentials, and new ones from %s failed: %s", self.source, error
            )
        self._asked_at = time.monotonic()

    def _authorization(self) -> str | None:
        """The header's value; may block on a file or an exec plugin."""
        header = self._config.get_api_key_with_prefix("BearerToken", alias="authorization")
        if header is None and self._config.username:
            header = self._config.get_basic_auth_token()
        return str(header).strip() if header else None

    def _ssl_context(self) -> ssl.SSLContext:
        settings = self._config
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT) if settings.tls_server_name else None
        if context is not None:
            context.name = str(settings.tls_server_name)
        made: ssl.SSLContext = context if context is not None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if not settings.verify_ssl:
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        elif settings.ssl_ca_cert or settings.ca_cert_data:
            made.load_verify_locations(cafile=settings.ssl_ca_cert, cadata=settings.ca_cert_data)
        else:
            made.load_default_certs()
        if settings.cert_file:
            made.load_cert_chain(settings.cert_file, settings.key_file)
        return made


def _socket(info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, _ = info
    made = socket.socket(family, kind, protocol)
    if sys.platform == "linux":
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * UNDELIVERED_SECONDS))
    return made


def abandon(response: aiohttp.ClientResponse) -> None:
    """Close a response's connection at once, without the TLS farewell that a dead peer never answers."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def _read_in_cluster() -> client.Configuration:
    settings = client.Configuration()
    config.load_incluster_config(settings)  # type: ignore[no-untyped-call]
    return settings


def _read_file(path: str, context: str | None) -> client.Configuration:
    settings = client.Configuration()
    config.load_kube_config(  # type: ignore[no-untyped-call]
        path, context=context, client_configuration=settings, persist_config=False
    )
    return settings


def _in_cluster_namespace() -> str:
    path = SERVICE_ACCOUNT / "namespace"
    try:
        return path.read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


def _context_namespace(path: str, context: str | None) -> str:
    contexts, current = config.list_kube_config_contexts(path)  # type: ignore[no-untyped-call]
    chosen = next((each for each in contexts if each["name"] == context), None) if context else current
    if chosen is None:
        raise ConnectionProblem(f"{path} has no context {context!r}; it has: {', '.join(c['name'] for c in contexts)}")
    return str(chosen["context"].get("namespace") or "default")

"""One kept-alive connection to a Prometheus, with a hard end: the session that prometheus-api-client speaks through.

The client asks of a session `mount` and `request` (and reads `verify` and `cert`). Speaking HTTP/1.1 with the standard
library here, instead of through requests and urllib3, is what makes three promises possible (and halves the
CPU, see docs/adr/prometheus-client.md):

- a query ends at its deadline whatever the server does: `Call.abort` shuts the socket from outside, which wakes a
  thread that is blocked in it, also in the middle of a header that arrives byte by byte;
- at most `MOST_BYTES` of an answer are read;
- nothing is taken from the environment (proxies, netrc), no cookie is kept, no redirect followed, no failed query
  tried again: the rollout's next pass is the retry.
"""

from __future__ import annotations

import base64
import contextlib
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from syncrollout.net.destinations import ANYWHERE, Destinations, Refused
from syncrollout.observe.prometheus_answers import Asked, shown_address
from syncrollout.ports import Endpoint

MOST_BYTES = 1 << 20
"""Of one answer. One number takes 200 bytes; a thousand series about 200 kB."""
LONGEST_URL = 4000
"""Longer queries are sent as a form: proxies commonly refuse a request line of more than 4 to 8 kB."""


class AddressInvalid(ValueError):
    """The address cannot be one of a Prometheus; the message says why and what to write."""


class TooLong(Exception):
    """An answer longer than it may be; `beginning` is what was read of it."""

    def __init__(self, beginning: bytes, most: int = MOST_BYTES) -> None:
        super().__init__(f"more than {most} bytes")
        self.beginning = beginning


class TrustInvalid(ValueError):
    """The certificate authorities that are to be trusted are not PEM text."""


class Aborted(Exception):
    """The caller waits no longer."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect to, taken apart once. `origin` is scheme, host and port; `base` has the path prefix too."""

    origin: str
    base: str
    host: str
    port: int
    tls: bool

    @classmethod
    def of(cls, address: str) -> Target:
        """Raises AddressInvalid."""
        shown = shown_address(address)
        try:
            parts = urlsplit(address)
            host, port = parts.hostname or "", parts.port
            host.encode("idna")
        except ValueError as error:
            msg = f"{shown} is no address ({error}): write spec.prometheus.address as http://host:9090"
            raise AddressInvalid(msg) from error
        if parts.scheme not in ("http", "https") or not host:
            msg = f"{shown} is no address of a Prometheus: write spec.prometheus.address as http://host:9090"
            raise AddressInvalid(msg)
        if "@" in parts.netloc:
            msg = (
                f"the address {shown} carries a user name, where everybody can read it: put user name and password "
                "in a Secret and name it in spec.prometheus.basicAuth"
            )
            raise AddressInvalid(msg)
        tls = parts.scheme == "https"
        origin = f"{parts.scheme}://{parts.netloc}"
        path = quote(parts.path.rstrip("/"), safe="/%:@!$&()*+,;=~")
        return cls(origin, f"{origin}{path}", host, port or (443 if tls else 80), tls)


class Trust:
    """The certificate authorities of one endpoint: those of `ca` (PEM text), else the system's. Loaded when needed."""

    def __init__(self, ca: str | None, server_name: str | None = None) -> None:
        """`server_name`: what a certificate has to be for, where it is not the host."""
        self._ca = ca
        self.server_name = server_name
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Raises TrustInvalid."""
        with self._lock:
            if self._context is None:
                try:
                    self._context = ssl.create_default_context(cadata=self._ca)
                except (ValueError, ssl.SSLError) as error:
                    raise TrustInvalid from error
            return self._context


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    """The headers of every request to this endpoint, credentials included."""
    headers = {"Accept": "application/json", "User-Agent": "syncrollout"}
    if endpoint.bearer_token is not None:
        headers["Authorization"] = f"Bearer {endpoint.bearer_token}"
    elif endpoint.basic_auth is not None:
        pair = ":".join(endpoint.basic_auth).encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers


class Call:
    """One query on its way through a thread. `abort` and `aborted` may be used from any other thread."""

    __slots__ = ("_lock", "_socket", "aborted", "asked", "deadline", "headers", "started")

    def __init__(self, asked: Asked, headers: Mapping[str, str]) -> None:
        self.asked = asked
        self.headers = headers
        self.deadline = time.monotonic() + asked.timeout
        self.started = False
        self.aborted = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def left(self) -> float:
        """Seconds until the deadline. Raises TimeoutError past it, Aborted where nobody waits any longer."""
        if self.aborted:
            raise Aborted
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def hold(self, used: socket.socket | None) -> None:
        """The socket that the call waits on from here on, or None when it waits no longer."""
        with self._lock:
            self._socket = used
            if self.aborted and used is not None:
                _shut(used)

    def abort(self) -> None:
        """Nobody waits any longer: free the thread at once."""
        with self._lock:
            self.aborted = True
            if self._socket is not None:
                _shut(self._socket)


def _shut(used: socket.socket) -> None:
    # the plain shutdown also of a TLS socket: its own would take the TLS layer away under the reading thread
    with contextlib.suppress(OSError):  # closed already
        socket.socket.shutdown(used, socket.SHUT_RDWR)


class Answer:
    """An HTTP answer, read to its end: what the client library looks at, and what `judge` needs (headers by their
    names in small letters)."""

    __slots__ = ("_parsed", "content", "headers", "status_code")

    def __init__(self, status_code: int, headers: Mapping[str, str], content: bytes) -> None:
        self.status_code = status_code
        self.headers = headers
        self.content = content
        self._parsed: Any = None

    def json(self) -> Any:
        """The parsed body. Raises ValueError, RecursionError."""
        if self._parsed is None:
            self._parsed = json.loads(self.content)
        return self._parsed

    def parsed(self) -> Any:
        """The parsed body, or None where it is not JSON."""
        try:
            return self.json()
        except (ValueError, RecursionError):
            return None


class Session:
    """One connection, used by one thread, as the client library's session. `answer` is what came back, or None; no more
    than `most` bytes of it are read."""

    verify = True
    cert = None

    def __init__(
        self, target: Target, trust: Trust, most: int = MOST_BYTES, *, destinations: Destinations = ANYWHERE
    ) -> None:
        self._most = most
        self._call: Call | None = None
        self.answer: Answer | None = None
        self._target = target
        self._trust = trust
        self._destinations = destinations
        self._connection = HTTPConnection(target.host, target.port)
        if target.tls:
            self._connection.default_port = 443  # what it leaves out of the Host header

    def begin(self, call: Call) -> None:
        """The call that the next request is for."""
        self._call, self.answer = call, None

    def mount(self, prefix: str, adapter: object) -> None:
        """What the client library would mount is an adapter that retries; it is not used."""

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def request(
        self, method: str, url: str, *, params: Mapping[str, str], headers: Mapping[str, str], **_: object
    ) -> Answer:
        """One exchange. Raises TooLong, Aborted, OSError (TimeoutError and Refused among them), HTTPException."""
        call = self._call
        if call is None:
            msg = "no call has begun"
            raise RuntimeError(msg)
        path = url[len(self._target.origin) :]
        form = urlencode(params)
        try:
            if len(path) + len(form) <= LONGEST_URL:
                self.answer = self._exchange(call, method, f"{path}?{form}", None, headers)
            else:
                as_form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
                self.answer = self._exchange(call, "POST", path, form, as_form)
        except BaseException as error:
            self.close()  # what is left of this answer must not be taken for the beginning of the next
            if call.aborted:
                raise Aborted from error
            raise
        finally:
            call.hold(None)
        return self.answer

    def _exchange(self, call: Call, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        reused = self._ready(call)
        try:
            response = self._send(method, path, body, headers)
        except ConnectionError:
            # a kept-alive connection may be closed by the server in the very moment in which it is used again
            if not reused:
                raise
            self.close()
            self._ready(call)
            response = self._send(method, path, body, headers)
        content = response.read(self._most + 1)
        if len(content) > self._most:
            raise TooLong(content[:1024], self._most)
        if response.length:
            raise IncompleteRead(content, response.length)
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, content)

    def _send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> HTTPResponse:
        self._connection.request(method, path, body=body, headers=headers)
        return self._connection.getresponse()

    def _ready(self, call: Call) -> bool:
        """Make the connection fit for use; True where it was used before."""
        used: socket.socket | None = self._connection.sock
        if used is not None and _readable(used):
            self.close()  # the server has closed it, or says something that nobody asked for
            used = None
        reused = used is not None
        if used is None:
            used = self._connect(call)
        call.hold(used)
        used.settimeout(call.left())
        return reused

    def _connect(self, call: Call) -> socket.socket:
        said = self._destinations.of_scheme(self._target.tls)
        if said:
            raise Refused(said)
        used = self._destinations.connect(self._target.host, self._target.port, call.left())
        try:
            used.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._target.tls:
                wrapped = self._trust.context().wrap_socket(
                    used,
                    server_hostname=self._trust.server_name or self._target.host,
                    do_handshake_on_connect=False,
                )
                used = wrapped
                call.hold(wrapped)
                wrapped.settimeout(call.left())
                wrapped.do_handshake()
        except BaseException:
            used.close()
            raise
        self._connection.sock = used
        return used


def _readable(used: socket.socket) -> bool:
    poll = select.poll()
    poll.register(used, select.POLLIN)
    return bool(poll.poll(0))


__all__ = [
    "Aborted",
    "AddressInvalid",
    "Answer",
    "Call",
    "Session",
    "Target",
    "TooLong",
    "Trust",
    "TrustInvalid",
    "headers_of",
]

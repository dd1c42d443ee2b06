"""A mail server and a receiver of webhooks, real ones on ports of their own, which remember what came in."""

from __future__ import annotations

import contextlib
import email
import email.policy
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Mailbox:
    """A mail server: `mails` in the order in which they were taken; `refuses` answers 451 to all."""

    mails: list[EmailMessage] = field(default_factory=list)
    refuses: bool = False
    unknown: tuple[str, ...] = ()
    """Recipients that it does not know."""
    drops: bool = False
    """Breaks the connection instead of answering to a mail that was handed over."""
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - its name there
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Whether it takes mails for somebody."""
        if address in self.unknown:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name there
        """Take a mail in."""
        if self.refuses:
            return "451 not now"
        if self.drops:
            assert server.transport is not None
            server.transport.close()
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        return "250 OK"

    @property
    def url(self) -> str:
        """Its Apprise URL."""
        return (
            f"mailto://127.0.0.1:{self.port}?from=operator@example.com&to=team@example.com&smtp=127.0.0.1&mode=insecure"
        )

    def subjects(self) -> list[str]:
        """Of all mails, in order."""
        return [str(mail["Subject"]) for mail in self.mails]


@contextlib.contextmanager
def mail_server(port: int = 0) -> Iterator[Mailbox]:
    """Runs while the context lasts."""
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        box.port = port or free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=box.port, ready_timeout=10)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@dataclass
class Hook:
    """A receiver of webhooks: `posts` in order, each with its headers; `status` is what it answers."""

    posts: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    status: int = 200
    silent: bool = False
    """Takes a post in and breaks the connection instead of answering."""
    port: int = 0

    @property
    def url(self) -> str:
        """Its Apprise URL."""
        return f"json://127.0.0.1:{self.port}/hook"

    def titles(self) -> list[str]:
        """Of all posts that were taken, in order."""
        return [str(body["title"]) for _, body in self.posts]


@contextlib.contextmanager
def webhook(port: int = 0) -> Iterator[Hook]:
    """Runs while the context lasts."""
    hook = Hook()

    class _Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if hook.silent or hook.status < 300:
                hook.posts.append((dict(self.headers.items()), body))
            if hook.silent:
                self.connection.close()
                return
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


__all__ = ["Hook", "Mailbox", "mail_server", "webhook"]

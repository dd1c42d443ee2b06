"""Messages by Apprise: mail, chat, SMS, webhooks.

The library blocks, so it runs in threads, a bounded number of them; it is loaded when the first message is sent. Only
services that are reached over the network are used: what would touch the operator's own host is refused, and so are
parameters of a URL that name files, or ask for certificates not to be verified. Redirects are not followed, and what
the library connects to is judged by `Destinations` whatever it has made of the URL.

The library answers yes or no. Whether a no means that the message has certainly not arrived is told by what it logs: a
connection that was lost, or an answer that did not come in time, leaves that open.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import unquote_plus

from syncrollout.decide.deliveries import Delivered, Delivery
from syncrollout.net.destinations import ANYWHERE, Destinations
from syncrollout.net.threads import judged
from syncrollout.ports import AppriseWay, Outgoing

log = logging.getLogger(__name__)

LONGEST: Final = 60.0
"""Seconds that one message may take in all, over all that a URL names."""
CONNECT, READ = 5.0, 10.0
"""Seconds to connect, and to wait for an answer, whatever the URL asks for."""
HOSTED: Final = frozenset(
    {
        "form", "forms", "gotify", "gotifys", "json", "jsons", "mailto", "mailtos", "matrix", "matrixs", "mmost",
        "mmosts", "ncloud", "nclouds", "nctalk", "nctalks", "ntfy", "ntfys", "rocket", "rockets", "signal", "signals",
        "workflows", "xml", "xmls", "zulip",
    }
)  # fmt: skip
"""Schemes whose URLs may name any host."""
FIXED: Final = frozenset(
    {
        "clicksend", "discord", "gchat", "guilded", "line", "mailgun", "msg91", "msgbird", "o365",
        "opsgenie", "pagerduty", "pagertree", "plivo", "pover", "sendgrid", "sendpulse", "ses", "signl4",
        "slack", "smtp2go", "sns", "spike", "splunk", "tgram", "twilio", "victorops", "vonage", "webex",
        "wxteams",
    }
)  # fmt: skip
"""Schemes of services that have hosts of their own."""
_NOT_VERIFIED: Final = "it asks for certificates not to be verified (verify=no), which is never done"
_IN_THE_CLEAR: Final = "it would be called in the clear, which this operator never does (--tls-only)"
_OF_FILES: Final = ("pgp", "smime", "attach", "file", "template", "config")
_LOST: Final = re.compile(
    r"timed out|timeout|RemoteDisconnected|Connection aborted|Connection reset|unexpectedly closed|Broken pipe|"
    r"IncompleteRead|BadStatusLine",
    re.IGNORECASE,
)
_NEVER_REACHED: Final = re.compile(
    r"ConnectTimeout|connect timeout|Failed to establish|Connection refused|Name or service not known|getaddrinfo|"
    r"NameResolution|No route to host|Network is unreachable|CERTIFICATE_VERIFY|Max retries exceeded.*refused",
    re.IGNORECASE,
)
_PARTLY: Final = re.compile(r"^Sent ", re.MULTILINE)
"""It logs so for each of several that a URL names."""
_BEFORE_MAIL: Final = re.compile(r"^Connection error while submitting email", re.MULTILINE)
"""It logs so of what fails before a mail is handed over, and otherwise of what fails then."""
_STATUS: Final = re.compile(r"error=(\d{3})")


class AppriseNotifier:
    """See ports.Notifier, for AppriseWay."""

    def __init__(self, destinations: Destinations = ANYWHERE, *, threads: int = 8) -> None:
        self._destinations = destinations
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="apprise")
        self._free = asyncio.Semaphore(threads)
        self._late: Counter[str] = Counter()
        """Threads that hang, by the namespace whose messages they send."""
        self._most_late = max(1, threads // 4)

    async def send(self, way: AppriseWay, message: Outgoing) -> Delivery:
        """See ports.Notifier. A thread that hangs is not waited for; it keeps its place until it ends. No namespace
        has more than a quarter of them hang."""
        namespace = message.labels.get("namespace", "")
        if self._late[namespace] >= self._most_late:
            return Delivery(Delivered.FAILED, "others of its namespace have not come to an end yet")
        try:
            async with asyncio.timeout(LONGEST):
                await self._free.acquire()
        except TimeoutError:
            return Delivery(Delivered.FAILED, f"others have not come to an end within {LONGEST:.0f} s")
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._send, way, message)
        work.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(LONGEST):
                return await asyncio.shield(work)
        except TimeoutError:
            self._late[namespace] += 1
            work.add_done_callback(lambda _: self._late.subtract([namespace]))
            return Delivery(Delivered.UNCERTAIN, f"it took longer than {LONGEST:.0f} s")

    def _ended(self, done: asyncio.Future[Delivery]) -> None:
        self._free.release()
        if not done.cancelled():
            done.exception()  # nobody waits any more for one that took too long

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, way: AppriseWay, message: Outgoing) -> Delivery:
        refused = refusal(way.url, tls_only=self._destinations.tls_only)
        if refused:
            return Delivery(Delivered.FAILED, refused)
        import apprise  # noqa: PLC0415 - a tenth of a second and 17 MB that most operators never need

        asset = apprise.AppriseAsset(
            app_id="SyncRollout",
            app_desc="SyncRollout",
            app_url="",
            image_url_mask="",
            image_url_logo="",
            async_mode=False,
            secure_logging=True,
            http_redirects=False,
            pgp_autogen=False,
            storage_mode=apprise.PersistentStoreMode.MEMORY,
        )
        from syncrollout.act.short_answers import short_answers  # noqa: PLC0415 - likewise

        with _Listening() as heard, short_answers(LONGEST), judged(self._destinations) as judge:
            try:
                service = apprise.Apprise.instantiate(way.url, asset=asset)
                if not service:
                    return Delivery(Delivered.FAILED, _unusable(way.url))
                if getattr(service, "verify_certificate", True) is not True:
                    return Delivery(Delivered.FAILED, _NOT_VERIFIED)
                if self._destinations.tls_only and str(getattr(service, "secure_mode", "")) == "insecure":
                    return Delivery(Delivered.FAILED, _IN_THE_CLEAR)
                _prepare(service, message, apprise.OverflowMode.TRUNCATE)
            except Exception as error:  # noqa: BLE001 - a plugin's own error, whatever it is; nothing was sent yet
                return Delivery(Delivered.FAILED, f"the library cannot use its URL: {type(error).__name__}")
            try:
                one = apprise.Apprise(asset=asset)
                one.add(service)
                sent = one.notify(
                    title=message.title,
                    body=_laid_out(message.body, str(service.notify_format.value)),
                    body_format=apprise.NotifyFormat.TEXT
                    if service.notify_format is apprise.NotifyFormat.TEXT
                    else apprise.NotifyFormat.MARKDOWN,
                    notify_type=_KINDS.get(message.labels.get("severity", ""), "info"),
                )
            except Exception as error:  # noqa: BLE001 - likewise, and it may come after it was sent
                return Delivery(Delivered.UNCERTAIN, f"the library failed: {type(error).__name__}")
        if sent:
            return Delivery(Delivered.SENT)
        if judge.refused and not _PARTLY.search(heard.text):
            return Delivery(Delivered.FAILED, _not_called(way.url, *judge.refused[0]))
        return _failed(heard.text)


def _unusable(url: str) -> str:
    """What to say of a URL whose scheme may be used, and which Apprise does not take; nothing of it is quoted."""
    scheme = url.partition("://")[0].lower()
    mail = ", and from= where user@host is no address" if scheme.startswith("mailto") else ""
    return f"Apprise cannot use this {scheme} URL: correct the key of the Secret by Apprise's page on it{mail}"


_KINDS: Final = {"Critical": "failure", "High": "failure", "Medium": "warning", "Low": "info"}


def refusal(url: str, *, tls_only: bool = False) -> str:
    """Why a URL is not used, in words that quote nothing of it but its scheme; empty where it is."""
    scheme = url.partition("://")[0].lower()
    if scheme not in HOSTED | FIXED:
        known = scheme if re.fullmatch(r"[a-z0-9]{1,16}", scheme) else "what stands before ://"
        return f"{known} is no scheme that may be used; docs/messages.md lists those"
    asked = _asked(url)
    if any(name.startswith(_OF_FILES) for name, _ in asked):
        return "it has a parameter that names a file of the operator's host"
    in_the_clear = scheme in HOSTED and f"{scheme}s" in HOSTED and scheme != "mailto"
    return _IN_THE_CLEAR if tls_only and in_the_clear else ""


def _asked(url: str) -> list[tuple[str, str]]:
    """The parameters as the library takes them: after the first question mark, whatever stands before it, parted by
    semicolons, too, and whatever blanks and signs are about their names."""
    pairs = (each.partition("=") for each in re.split("[&;]", url.partition("?")[2]))
    return [
        (re.sub("[^a-z0-9]", "", unquote_plus(name).lower()), unquote_plus(value).lower()) for name, _, value in pairs
    ]


def _laid_out(body: str, form: str) -> str:
    """Markdown as a service takes it: without its marks where it is plain text, and so that nothing in it is taken for
    a tag where it becomes HTML."""
    if form == "html":
        return body.replace("<", "&lt;")
    return body.replace("**", "").replace("`", "") if form == "text" else body


def _prepare(service: Any, message: Outgoing, overflow: Any) -> None:
    """Bounds of time, and an id that receivers may go by."""
    service.socket_connect_timeout = min(float(service.socket_connect_timeout or CONNECT), CONNECT)
    service.socket_read_timeout = min(float(service.socket_read_timeout or READ), READ)
    service.overflow_mode = overflow  # one message is one message: what is too long for a service is cut
    service.retry, service.optional = 0, False  # what comes of it is ours to judge
    headers = getattr(service, "headers", None)
    if isinstance(headers, dict):
        name = "X-SyncRollout-Message" if hasattr(service, "smtp_host") else "Idempotency-Key"
        headers.setdefault(name, message.id)


def _not_called(url: str, host: str, why: str) -> str:
    """Why a message was not sent; what only the URL says is not quoted."""
    own = url.partition("://")[0].lower() in FIXED
    return f"not sent: {why if own else why.replace(host, 'its host', 1)}"


def _failed(said: str) -> Delivery:
    """What a no means, and why, in words that quote nothing that may be secret."""
    if _PARTLY.search(said):
        return Delivery(Delivered.UNCERTAIN, "some of those that its URL names have it, and others do not")
    if _BEFORE_MAIL.search(said):
        return Delivery(Delivered.FAILED, "the mail server could not be reached, or did not let it in")
    status = _STATUS.search(said)
    if status is not None:
        return Delivery(Delivered.FAILED, f"it answered {status[1]}")
    if _NEVER_REACHED.search(said):
        return Delivery(Delivered.FAILED, "nobody could be reached there")
    if _LOST.search(said):
        return Delivery(Delivered.UNCERTAIN, "the connection broke, or no answer came in time")
    return Delivery(Delivered.FAILED, "it was not accepted")


class _Listening(logging.Handler):
    """What the library logs in this thread, for our own eyes: it is never written anywhere."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: list[str] = []
        self._thread: int | None = None

    @property
    def text(self) -> str:
        return "\n".join(self._lines)

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self._lines) < 200:
            self._lines.append(record.getMessage()[:2000])

    def __enter__(self) -> _Listening:
        self._thread = threading.get_ident()
        logger = logging.getLogger("apprise")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(self)
        # What it logs of a request has the whole path in it, and of webhooks that is the secret.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


__all__ = ["AppriseNotifier", "refusal"]

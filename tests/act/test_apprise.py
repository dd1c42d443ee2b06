"""Messages by Apprise, to a real mail server and a real receiver of webhooks."""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from apprise.manager_plugins import NotificationManager

from fakes.post_office import Hook, Mailbox, mail_server, webhook
from syncrollout.act.apprise import FIXED, HOSTED, AppriseNotifier, refusal
from syncrollout.act.channels import Channels
from syncrollout.decide.deliveries import Delivered
from syncrollout.ports import AppriseWay, Outgoing

SECRET = "c2VjcmV0LXRva2Vu"  # noqa: S105 - it is to be found nowhere
MESSAGE = Outgoing(
    id="6f1c-3-RolledBack-team-chat",
    title="【listing-sync】切り戻しが完了しました",
    body="All of the work is back.\n\n- **Cause:** errors < 5 are <b>gone</b>\n- **When:** now\n",
    time=1_700_000_000.0,
    labels={"severity": "Critical"},
)


@pytest.fixture
def mails() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook() as receiver:
        yield receiver


@pytest.fixture
async def notifier() -> AsyncIterator[AppriseNotifier]:
    made = AppriseNotifier(threads=2)
    yield made
    made.close()


async def test_a_mail_has_both_plain_text_and_layout(notifier: AppriseNotifier, mails: Mailbox) -> None:
    result = await notifier.send(AppriseWay(mails.url), MESSAGE)
    assert result.state is Delivered.SENT
    (mail,) = mails.mails
    assert mail["Subject"] == MESSAGE.title
    assert mail["X-SyncRollout-Message"] == MESSAGE.id
    html = mail.get_body(("html",))
    assert html is not None
    content = html.get_content()
    assert "<strong>Cause:</strong>" in content
    assert "<b>gone</b>" not in content


async def test_a_webhook_gets_the_text_and_an_id_to_go_by(notifier: AppriseNotifier, hook: Hook) -> None:
    result = await notifier.send(AppriseWay(hook.url), MESSAGE)
    assert result.state is Delivered.SENT
    ((headers, body),) = hook.posts
    assert headers["Idempotency-Key"] == MESSAGE.id
    assert body["title"] == MESSAGE.title
    assert body["message"].strip() == (
        "All of the work is back.\n\n- Cause: errors < 5 are <b>gone</b>\n- When: now"
    ), "plain text, without marks"
    assert body["type"] == "failure"


@pytest.mark.parametrize("status", [400, 403, 500, 503])
async def test_what_a_service_refuses_has_certainly_not_arrived(
    notifier: AppriseNotifier, hook: Hook, status: int
) -> None:
    hook.status = status
    result = await notifier.send(AppriseWay(f"{hook.url}/{SECRET}"), MESSAGE)
    assert (result.state, result.message) == (Delivered.FAILED, f"it answered {status}")


async def test_what_nobody_listens_for_has_certainly_not_arrived(notifier: AppriseNotifier) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for url in (f"json://127.0.0.1:{port}/{SECRET}", f"mailto://127.0.0.1:{port}?from=a@b.example&to=c@d.example"):
            result = await notifier.send(AppriseWay(url), MESSAGE)
            assert result.state is Delivered.FAILED, url
            assert SECRET not in result.message


async def test_a_connection_that_breaks_after_it_was_handed_over_leaves_it_open(
    notifier: AppriseNotifier, hook: Hook
) -> None:
    hook.silent = True
    result = await notifier.send(AppriseWay(hook.url), MESSAGE)
    assert result.state is Delivered.UNCERTAIN
    assert len(hook.posts) == 1


@contextlib.contextmanager
def talker(beginning: bytes, again: bytes, most: int, pause: float = 0.0) -> Iterator[tuple[str, list[int]]]:
    """A server that says something, and then something again and again, until it has said so much of it or nobody
    listens; the Apprise URL of its webhook, and how many bytes it got rid of on each connection."""
    said: list[int] = []
    over = threading.Event()

    class _Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            said.append(0)
            place = len(said) - 1
            with contextlib.suppress(OSError):
                self.request.recv(65_536)
                self.request.sendall(beginning)
                while said[place] < most and not over.wait(pause):
                    self.request.sendall(again)
                    said[place] += len(again)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"json://127.0.0.1:{server.server_address[1]}/x", said
        finally:
            over.set()
            server.shutdown()
            thread.join()


async def test_of_an_answer_without_an_end_the_beginning_is_read(notifier: AppriseNotifier) -> None:
    with talker(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1_000_000, 100_000_000) as (url, said):
        result = await notifier.send(AppriseWay(url), MESSAGE)
    assert result.state is Delivered.SENT
    assert said[0] < 50_000_000  # what the two ends keep on the way is among it


async def test_an_answer_that_trickles_keeps_nobody_waiting_for_long(
    monkeypatch: pytest.MonkeyPatch, hook: Hook
) -> None:
    monkeypatch.setattr("syncrollout.act.apprise.LONGEST", 1.0)
    notifier = AppriseNotifier(threads=1)
    other = replace(MESSAGE, labels={**MESSAGE.labels, "namespace": "other"})
    with talker(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 10_000, pause=0.05) as (url, _):
        assert (await notifier.send(AppriseWay(url), MESSAGE)).state is Delivered.UNCERTAIN
        assert (await notifier.send(AppriseWay(hook.url), other)).state is Delivered.SENT
    notifier.close()


async def test_threads_that_hang_are_a_quarter_of_all_for_one_namespace(
    monkeypatch: pytest.MonkeyPatch, hook: Hook
) -> None:
    monkeypatch.setattr("syncrollout.act.apprise.LONGEST", 0.5)
    notifier = AppriseNotifier(threads=4)
    theirs, ours = (replace(MESSAGE, labels={**MESSAGE.labels, "namespace": each}) for each in ("theirs", "ours"))
    with talker(b"HTTP/1.1 200 OK\r\nX: ", b"x", 10_000, pause=0.05) as (url, said):
        results = [await notifier.send(AppriseWay(url), theirs) for _ in range(5)]
        assert [each.state for each in results] == [Delivered.UNCERTAIN, *[Delivered.FAILED] * 4]
        assert len(said) == 1
        assert (await notifier.send(AppriseWay(hook.url), ours)).state is Delivered.SENT
    notifier.close()


async def test_threads_that_hang_keep_nothing_urgent_waiting(monkeypatch: pytest.MonkeyPatch, hook: Hook) -> None:
    monkeypatch.setattr("syncrollout.act.apprise.LONGEST", 0.5)
    channels = Channels()
    with talker(b"HTTP/1.1 200 OK\r\nX: ", b"x", 10_000, pause=0.05) as (url, _):
        results = [await channels.send(AppriseWay(url), MESSAGE) for _ in range(3)]
        assert [each.state for each in results] == [*[Delivered.UNCERTAIN] * 2, Delivered.FAILED]
        assert (await channels.send(AppriseWay(hook.url), replace(MESSAGE, urgent=True))).state is Delivered.SENT
    await channels.close()


async def test_a_mail_server_that_says_not_now_has_not_taken_it(notifier: AppriseNotifier, mails: Mailbox) -> None:
    mails.refuses = True
    result = await notifier.send(AppriseWay(mails.url), MESSAGE)
    assert result.state is Delivered.FAILED
    assert mails.mails == []


async def test_a_mail_whose_taking_was_never_confirmed_is_left_open(notifier: AppriseNotifier, mails: Mailbox) -> None:
    mails.drops = True
    result = await notifier.send(AppriseWay(mails.url), MESSAGE)
    assert result.state is Delivered.UNCERTAIN


async def test_of_several_recipients_one_that_has_it_gets_it_no_second_time(
    notifier: AppriseNotifier, mails: Mailbox
) -> None:
    mails.unknown = ("gone@example.com",)
    both = mails.url.replace("to=team@example.com", "to=team@example.com,gone@example.com")
    result = await notifier.send(AppriseWay(both), MESSAGE)
    assert (len(mails.mails), result.state) == (1, Delivered.UNCERTAIN)
    assert "others do not" in result.message


async def test_a_mail_server_that_does_not_answer_at_all_has_not_taken_it(notifier: AppriseNotifier) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = deaf.getsockname()[1]
        url = f"mailto://127.0.0.1:{port}?from=a@b.example&to=c@d.example&smtp=127.0.0.1&mode=insecure&cto=0.2&rto=0.2"
        result = await notifier.send(AppriseWay(url), MESSAGE)
        assert result.state is Delivered.FAILED


async def test_what_is_secret_is_in_no_word_of_what_failed(
    notifier: AppriseNotifier, caplog: pytest.LogCaptureFixture, hook: Hook
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.status = 500
    await notifier.send(AppriseWay(f"{hook.url}/{SECRET}"), MESSAGE)
    for url in (f"json://user:{SECRET}@127.0.0.1:1/x", f"slack://{SECRET}", f"nothing://{SECRET}", f"{SECRET}"):
        result = await notifier.send(AppriseWay(url), MESSAGE)
        assert result.state is Delivered.FAILED
        assert SECRET not in result.message
    assert not [each for each in caplog.records if SECRET in each.getMessage() and each.name != "apprise"]
    assert not logging.getLogger("apprise").propagate, "what it logs goes nowhere"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "dbus://",
        "syslog://",
        "macosx://",
        "windows://",
        "gnome://",
        "apprise://host",
        "http://host",
    ],
)
def test_what_would_touch_the_operators_own_host_is_refused(url: str) -> None:
    assert "no scheme that may be used" in refusal(url)


@pytest.mark.parametrize("name", ["pgp", "pgppub", "pgpkey", "attach"])
def test_parameters_that_name_files_are_refused(name: str) -> None:
    assert "names a file" in refusal(f"mailtos://user:pw@example.com?{name}=/etc/passwd")


def test_every_scheme_is_one_of_apprises_own() -> None:
    assert set(NotificationManager().schemas()) >= HOSTED | FIXED


@pytest.mark.parametrize("query", ["a=1;pgpkey=/etc/passwd", "+pgpkey=/etc/passwd", "%20PGPKey%20=/etc/passwd"])
def test_parameters_are_read_as_the_library_reads_them(query: str) -> None:
    assert "names a file" in refusal(f"mailtos://user:pw@example.com?{query}")
    assert "names a file" in refusal(f"mailtos://user:pw@example.com/#x?{query}")


async def test_of_a_url_that_apprise_does_not_take_its_scheme_is_said_and_nothing_else(
    notifier: AppriseNotifier,
) -> None:
    said = await notifier.send(AppriseWay("mailto://kim:hidden@127.0.0.1?to=team@example.com"), MESSAGE)
    assert said.state is Delivered.FAILED
    assert "mailto URL" in said.message
    assert "from=" in said.message
    assert "hidden" not in said.message

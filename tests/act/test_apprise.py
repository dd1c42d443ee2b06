"""Messages by Apprise, to a real mail server and a real receiver of webhooks."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from apprise.manager_plugins import NotificationManager

from fakes.post_office import Hook, Mailbox, mail_server, webhook
from syncrollout.act.apprise import FIXED, HOSTED, AppriseNotifier, refusal
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
    assert "no scheme that may be used" in refusal(url, ())


@pytest.mark.parametrize("name", ["pgp", "pgppub", "pgpkey", "attach"])
def test_parameters_that_name_files_are_refused(name: str) -> None:
    assert "names a file" in refusal(f"mailtos://user:pw@example.com?{name}=/etc/passwd", ())


def test_every_scheme_is_one_of_apprises_own() -> None:
    assert set(NotificationManager().schemas()) >= HOSTED | FIXED


@pytest.mark.parametrize("query", ["a=1;pgpkey=/etc/passwd", "+pgpkey=/etc/passwd", "%20PGPKey%20=/etc/passwd"])
def test_parameters_are_read_as_the_library_reads_them(query: str) -> None:
    assert "names a file" in refusal(f"mailtos://user:pw@example.com?{query}", ())
    assert "names a file" in refusal(f"mailtos://user:pw@example.com/#x?{query}", ())


async def test_a_host_counts_as_the_library_has_found_it() -> None:
    notifier = AppriseNotifier(("hooks.example.com",), threads=1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        url = f"json://user:pw@127.0.0.1:{listening.getsockname()[1]}@hooks.example.com/"
        assert refusal(url, ("hooks.example.com",)) == ""
        sent = await notifier.send(AppriseWay(url), MESSAGE)
        with pytest.raises(BlockingIOError):
            listening.accept()
    notifier.close()
    assert sent.state is Delivered.FAILED
    assert "--message-host" in sent.message


def test_hosts_can_be_limited() -> None:
    hosts = ("*.example.com", "mail.internal")
    assert refusal("jsons://hooks.example.com/x", hosts) == ""
    assert refusal("mailto://example.com?smtp=mail.internal", ("example.com", *hosts)) == ""
    assert refusal("slack://a/b/c", hosts) == ""
    for url in (
        "json://169.254.169.254/latest",
        "json://example.com.evil.org/x",
        "mailto://hooks.example.com?smtp=127.0.0.1",
        "json://user@hooks.example.com@10.0.0.1/",
        "mailto://hooks.example.com?a=1;smtp=127.0.0.1",
        "mailto://hooks.example.com?%20smtp=127.0.0.1",
        "mailto://hooks.example.com/#x?smtp=127.0.0.1",
        "zulip://bot@org.10.0.0.1/token",
    ):
        assert "--message-host" in refusal(url, hosts), url


async def test_of_a_url_that_apprise_does_not_take_its_scheme_is_said_and_nothing_else(
    notifier: AppriseNotifier,
) -> None:
    said = await notifier.send(AppriseWay("mailto://kim:hidden@127.0.0.1?to=team@example.com"), MESSAGE)
    assert said.state is Delivered.FAILED
    assert "mailto URL" in said.message
    assert "from=" in said.message
    assert "hidden" not in said.message

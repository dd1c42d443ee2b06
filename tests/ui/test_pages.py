"""The page in a real browser, over the gallery: what a person sees, on a screen and on a phone, by day and by night."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncrollout.api.fields import format_time
from ui.browser import DESKTOP, PHONE, Browser, contrasts
from ui.gallery import NOW, Played, Series, gallery
from ui.served import Served, serving

pytestmark = pytest.mark.browser

LISTING, LEDGER, CONTACT = "#/listings/listing-sync", "#/payments/ledger-sync", "#/crm/contact-sync"
HOSTILE = '<script>window.hacked=1</script><img src=x onerror="window.hacked=1"> \' " & </textarea>'


@pytest.fixture(scope="module")
def fleet() -> list[Played]:
    return gallery()


@pytest.fixture(scope="module")
def served(fleet: list[Played]) -> Iterator[Served]:
    began = time.time()
    with serving([each.raw for each in fleet], Series(fleet), now=lambda: NOW + time.time() - began) as running:
        yield running


@pytest.fixture
def page(window: Browser) -> Iterator[Browser]:
    """A window that has nothing to complain of at the end."""
    yield window
    assert window.complaints() == []


def drawn(page: Browser) -> None:
    page.settled(lambda: page.all(".spark"), "series to be drawn")


def test_the_list_shows_what_needs_looking_at_first_and_leads_to_each_rollout(page: Browser, served: Served) -> None:
    page.open(served.url)
    page.until("One needs a look; 4 of 7 under way.")
    names = [each.text for each in page.all(".fleet .who a")]
    assert names == [
        *("ledger-sync", "index-feed", "contact-sync", "listing-sync", "thumbnailer", "listing-sync", "invoice-export")
    ]
    assert "High incident" in page.text(".fleet tbody tr")
    page.click(".pick", "Completed")
    page.settled(lambda: len(page.all(".fleet tbody tr")) == 1, "one row to be left")
    page.click(".pick", "All")
    page.one("input[type=search]").send_keys("thumb")
    page.settled(lambda: len(page.all(".fleet tbody tr")) == 1, "one row to be found")
    page.click(".fleet a", "thumbnailer")
    page.until("media", "thumbnailer-v2", "step-50")
    page.click(".crumb a")
    page.until("One needs a look")


def test_one_rollout_shows_phases_weights_and_each_criterion_with_its_course(page: Browser, served: Served) -> None:
    page.open(served.url + LISTING)
    text = page.until("Phase 2/5 small-traffic: new has 10 %.", "90 %", "listing-sync-v1", "shards in ConfigMap")
    drawn(page)
    assert [each.text.splitlines()[0] for each in page.all(".phase.is-coming h3")] == [
        *("medium-traffic", "full-traffic", "full-migration")
    ]
    assert page.one(".phase.is-current").get_attribute("aria-current") == "step"
    assert "left, to" in text
    labels = [each.get_attribute("aria-label") or "" for each in page.all(".spark")]
    assert any(label.startswith("error-rate of new over time") and "Limit 1 %" in label for label in labels)
    assert any("old: least" in label for label in labels if label.startswith("duration"))
    page.click(".pick", "24 h")
    page.settled(
        lambda: page.one(".pick[data-value='24h']").get_attribute("aria-pressed") == "true", "24 h to be chosen"
    )
    drawn(page)


def test_an_incident_counts_down_and_gives_the_commands(page: Browser, served: Served) -> None:
    page.open(served.url + LEDGER)
    page.until("High incident", "error-rate reads", "kubectl syncrollout override ledger-sync -m WHY -n payments")
    first = page.text(".clock-left")
    assert first.startswith(("41:", "40:"))
    page.settled(lambda: page.text(".clock-left") != first, "the clock to run")
    page.click(".copy")
    page.settled(lambda: page.text(".copy") in ("Copied", "Selected"), "the command to be taken")


def test_a_rollback_shows_its_cause_and_its_times(page: Browser, served: Served) -> None:
    page.open(served.url + CONTACT)
    page.until("Rolled Back", "Trigger Breached", "Everything at old", "kubectl syncrollout retry contact-sync")
    assert "↩" in page.text(".phase.is-left")


@pytest.mark.parametrize("path", ["", LISTING, LEDGER, CONTACT])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read_by_day_and_by_night(page: Browser, served: Served, path: str, dark: bool) -> None:
    page.open(served.url + path, dark=dark)
    page.until("Read-only", selector="body")
    page.one(".spark" if path else ".fleet")
    assert contrasts(page) == []
    ground = page.run("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(15, 20, 27)") == dark
    if path:
        page.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        assert contrasts(page) == []


@pytest.mark.parametrize("path", ["", LISTING, LEDGER, CONTACT])
@pytest.mark.parametrize("size", [PHONE, (320, 640), (768, 1024), DESKTOP], ids=str)
def test_nothing_is_wider_than_the_window(page: Browser, served: Served, path: str, size: tuple[int, int]) -> None:
    page.open(served.url + path, size=size)
    page.one(".spark" if path else ".fleet")
    assert page.overflow() == 0
    if size == PHONE:
        low = page.run("return [...document.querySelectorAll('button, input')].filter(e => e.offsetHeight < 30).length")
        assert low == 0, "a finger finds everything"


def test_colours_can_be_chosen_and_stay_chosen(page: Browser, served: Served) -> None:
    page.open(served.url)
    page.one(".fleet")
    page.click("#theme")
    page.click("#theme")
    assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(15, 20, 27)"
    page.driver.refresh()
    page.one(".fleet")
    assert page.text("#theme") == "Dark"
    page.click("#theme")


def test_it_is_walked_through_with_the_keyboard_alone(page: Browser, served: Served) -> None:
    page.open(served.url)
    page.one(".fleet")
    reached = page.run(
        "return [...document.querySelectorAll('a, button, input, summary')].filter(e => e.checkVisibility())"
        ".every(e => { e.focus(); return document.activeElement === e; })"
    )
    assert reached
    assert page.run("return document.documentElement.lang") == "en"
    assert page.run("return [...document.querySelectorAll('button, input, a')].every(e => e.innerText.trim() || "
                    "e.getAttribute('aria-label') || e.labels?.length || e.closest('label'))")  # fmt: skip
    page.open(served.url + LISTING)
    drawn(page)
    headings = page.run("return [...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.localName[1]))")
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))


def test_news_come_without_a_reload_and_disturb_nobody(page: Browser, fleet: list[Played]) -> None:
    ledger = next(each for each in fleet if each.name == "ledger-sync")
    raw = ledger.raw
    began = time.time()
    with serving([raw], Series(fleet), now=lambda: NOW + time.time() - began) as served:
        page.open(served.url + LEDGER)
        page.until("High incident")
        page.run("window.sameDocument = true; document.querySelector('details').open = true")
        page.run("document.querySelector('.copy').focus()")
        changed: dict[str, Any] = {
            **raw,
            "metadata": {**raw["metadata"], "resourceVersion": "7"},
            "status": {**raw["status"], "message": "Going on by a person's word", "weight": 55},
        }
        served.put(changed)
        page.until("Going on by a person's word.", "55 %")
        assert page.run("return window.sameDocument && document.querySelector('details').open")
        assert page.run("return document.activeElement.className") == "copy"
        served.remove("payments", "ledger-sync")
        page.until("There is no SyncRollout payments/ledger-sync (any more).")
        page.click("main a")
        page.until("No rollouts yet")
        served.put({**changed, "metadata": {**changed["metadata"], "resourceVersion": "8"}})
        page.until("ledger-sync", "55 %")


def test_everything_that_a_status_can_hold_is_shown(page: Browser, fleet: list[Played]) -> None:
    raw = fleet[1].raw
    before, since, until = (format_time(NOW + seconds) for seconds in (-3600.0, -60.0, 600.0))
    phases = [{**each, "approval": "Required", "deadline": "3d"} for each in raw["spec"]["phases"]]
    more = [{**phases[-1], "name": f"again-{number}"} for number in range(5)]
    phase = raw["status"]["phase"]
    step = {"budgetSeconds": 900, "started": since}
    raw["spec"] = {**raw["spec"], "phases": phases + more}
    raw["metadata"]["annotations"] = {"syncrollout.io/hold": "ann"}
    raw["status"] = {
        **raw["status"],
        "state": "RollingBack",
        "incident": {**raw["status"]["incident"], "overridden": "a test", "overriddenAt": since, "overriddenBy": "ann"},
        "conditions": [
            {"type": "Stalled", "status": "True", "reason": "RouteNotFound", "message": "there is no route",
             "observedGeneration": 1, "lastTransitionTime": since},
        ],
        "rollback": {
            "reason": "NewDied", "message": "all pods of new have died", "decided": before, "confirmed": since,
            "verified": since, "fromPhase": "step-50", "fromWeight": 50,
            "steps": [
                {**step, "name": "Switch", "state": "Succeeded", "finished": since},
                {**step, "name": "VerifyData", "state": "Failed", "finished": since, "message": "3 rows differ",
                 "output": "row 7 differs", "job": "check"},
                {**step, "name": "Restore", "state": "Running", "progress": "40 of 90 rows"},
                {"budgetSeconds": 60, "name": "VerifySystem", "state": "Waiting"},
                {"budgetSeconds": 60, "name": "Evidence", "state": "Skipped"},
            ],
        },
        "shards": {"configMap": "slots", "epoch": 7, "newBelow": 300, "oldFrom": 500, "newReach": 500, "oldReach": 300,
                   "stage": "Releasing", "since": since, "deadline": until, "waitingFor": ["pod-a", "pod-b"]},
        "reports": {"number": 2, "open": {"high": 1}, "answered": 1, "answer": "it was the cache", "latest": [
            {"number": 2, "run": 1, "phase": "step-50", "at": since, "severity": "High", "by": "bob",
             "message": "slow"},
        ]},
        "drill": {
            "running": {"mode": "Live", "cause": "Person", "started": since, "stage": "Standing", "until": until},
            "last": {"mode": "Rehearse", "cause": "Schedule", "started": before, "finished": before, "result": "Failed",
                     "message": "no backup"},
            "next": until, "overdue": before,
        },
        "verify": {"weight": 50, "verdict": "Fail", "message": "10 % of requests reach new", "since": since},
        "mirror": {"percent": 20},
        "stepBack": {"count": 2, "fromPhase": "step-50", "toPhase": "step-25", "message": "slow", "at": before},
        "retry": {"revision": "1", "reason": "again", "asked": since, "by": "ann"},
        "hold": {"by": "ann", "reason": "a holiday", "since": since},
        "skipped": {"phase": phase["name"], "entered": phase["entered"], "by": "ann", "at": since},
        "approvalAsked": {"entered": phase["entered"], "since": since},
        "approvals": [{"phase": "step-10", "entered": before, "by": "ann", "reason": "fine", "at": before}],
        "notifications": {
            "messages": [
                {"id": "m", "event": "RollingBack", "severity": "High", "time": since, "run": 1, "text": "it goes back",
                 "deliveries": [{"audience": "team", "channel": "mail", "state": "GivenUp", "error": "mail is down"}]},
            ],
            "alarm": {"id": "m", "severity": "High", "since": since},
        },
    }  # fmt: skip
    forward = {**raw, "metadata": {**raw["metadata"], "name": "forward", "uid": "forward"}}
    forward["status"] = {**raw["status"], "state": "AwaitingApproval", "rollback": None, "inFlight": True}
    lost = {**raw, "metadata": {**raw["metadata"], "name": "lost", "uid": "lost"}}
    lost["spec"] = {**raw["spec"], "phases": more}
    odd = {**raw, "metadata": {**raw["metadata"], "name": "odd", "uid": "odd"}, "spec": {"ofALaterRelease": 1}}
    with serving([raw, forward, lost, odd], Series(fleet), now=lambda: NOW) as served:
        for name, words in {
            "ledger-sync": (
                *("A person must mend something", "there is no route", "High incident, overridden", "by ann"),
                *("Verify Data", "3 rows differ", "What check has said last", "40 of 90 rows"),
                *("New owns 300 of 1000", "200 between them", "pod-a, pod-b", "#2 High slow", "it was the cache"),
                *("Live drill under way", "Last drill: Failed", "Overdue", "Traffic seen: Fail", "mirror 20 %"),
                *("Stepped back 2 times", "Next attempt asked for by ann", "Held by ann: a holiday"),
                *("Rolling Back to team", "1 given up", "mail is down", "nobody has acknowledged"),
            ),
            "forward": ("Awaiting Approval", "Waits for an approval", "✓ Approved by ann", "Its time was ended by ann"),
            "lost": ("is not in spec.phases any more",),
            "odd": ("It cannot be read", "by this release (old: Field required)"),
        }.items():
            for size, dark in ((DESKTOP, False), (PHONE, True)):
                page.open(f"{served.url}#/payments/{name}", size=size, dark=dark)
                page.until(*words)
                page.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
                assert page.overflow() == 0, (name, size)
                assert contrasts(page) == [], (name, size)
                assert page.complaints() == [], (name, size)


def test_a_page_of_another_release_is_loaded_anew(page: Browser, fleet: list[Played]) -> None:
    with serving([fleet[0].raw], Series(fleet), now=lambda: NOW) as served:
        page.open(served.url)
        page.until("listing-sync")
        page.run("window.sameDocument = true; sessionStorage.removeItem('syncrollout-renewed')")
        served.do(lambda: setattr(served.server._looking, "_page", "next"))
        served.put(fleet[1].raw)
        page.settled(lambda: page.run("return !window.sameDocument"), "the page to be loaded anew")
        page.until("ledger-sync")


def test_what_a_rollout_says_is_text_and_never_markup(page: Browser, fleet: list[Played]) -> None:
    raw = fleet[1].raw
    status = raw["status"]
    raw["status"] = {
        **status,
        "message": HOSTILE,
        "next": HOSTILE,
        "incident": {**status["incident"], "message": HOSTILE},
        "history": [{**each, "message": HOSTILE} for each in status["history"]],
        "criteria": [{**each, "message": HOSTILE, "limit": HOSTILE[:90]} for each in status["criteria"]],
        "conditions": [{**each, "message": HOSTILE} for each in status["conditions"]],
    }
    raw["spec"] = {**raw["spec"], "phases": [{**each, "description": HOSTILE} for each in raw["spec"]["phases"]]}
    with serving([raw], Series(fleet), now=lambda: NOW) as served:
        for path in (
            "",
            LEDGER,
            "#/<img src=x onerror=window.hacked=1>",
            "#/%3Cscript%3E/x",
            "#/%E0%A4%A/x",
            "#/constructor/__proto__",
        ):
            page.open(served.url + path)
            page.settled(lambda: page.all("main h1"), "a page")
            assert page.run("return window.hacked") is None
            assert page.run("return document.querySelectorAll('main script, main img, main textarea').length") == 0
        page.open(served.url + LEDGER)
        page.until("<script>window.hacked=1</script>")


def test_who_has_no_token_is_asked_for_it_and_sees_nothing_before(
    window: Browser, fleet: list[Played], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("0123456789abcdef")
    with serving([fleet[0].raw], Series(fleet), token_file=file, now=lambda: NOW) as served:
        window.open(served.url + LISTING)
        assert "small-traffic" not in window.until("Who looks?")
        assert window.text("#link-text") == "Token needed"
        for token, seen in (("wrong-wrong-wrong", "not the right one"), ("0123456789abcdef", "small-traffic")):
            window.run("document.querySelector('input[name=token]').value = ''")
            window.one("input[name=token]").send_keys(token)
            window.click(".main-button")
            window.until(seen)
        assert "0123456789abcdef" not in window.driver.current_url
        assert window.driver.get_cookies() == []
        window.complaints()  # of the two answers that were refusals
        window.run("sessionStorage.clear()")


def test_a_connection_that_breaks_is_said_to_be_and_comes_back(window: Browser, fleet: list[Played]) -> None:
    with serving([fleet[0].raw], Series(fleet), now=lambda: NOW) as served:
        window.open(served.url)
        window.until("listing-sync")
        window.settled(lambda: window.text("#link-text") == "Live", "it to be live")
        window.driver.execute_cdp_cmd("Network.enable", {})
        served.do(served.server._connections.cut)
        served.put({**fleet[1].raw})
        window.until("ledger-sync")
        window.settled(lambda: window.text("#link-text") == "Live", "it to be live again")
    window.settled(lambda: "lost" in window.text("#link-text"), "the loss to be said")
    assert "ledger-sync" in window.text(), "what was known stays to be read"
    window.complaints()

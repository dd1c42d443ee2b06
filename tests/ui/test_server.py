"""The page's server over real sockets: who is let in, what is served, and what viewers cannot do to the operator."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fakes.history import NothingRecorded
from fakes.reviewer import Reviewer
from syncrollout.ui import stream
from syncrollout.ui.server import Outcome, Pace
from syncrollout.ui.stream import encode
from testbed.waiting import eventually
from ui.served import Served, serving

TOKEN = "0123456789abcdef"  # noqa: S105 - a test's
STATIC = Path(__file__).parents[2] / "operator" / "syncrollout" / "ui" / "static"
LIST, ONE = "api/v1/rollouts", "api/v1/rollouts/shop/web"


def rollout(name: str = "web", version: int = 1, **status: Any) -> dict[str, Any]:
    system = {"workload": {"kind": "Deployment", "name": "v1"}, "service": "v1"}
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"}
    spec = {
        "old": system,
        "new": {"workload": {"kind": "Deployment", "name": "v2"}, "service": "v2"},
        "traffic": {"routes": [route]},
        "phases": [{"name": "all", "weight": 100}],
    }
    metadata = {"namespace": "shop", "name": name, "uid": name, "generation": 1, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": spec, "status": status}


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def served(opened: ExitStack) -> Served:
    return opened.enter_context(serving([rollout(state="Progressing", weight=40)], NothingRecorded()))


@pytest.fixture
def guarded(opened: ExitStack, tmp_path: Path) -> Served:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return opened.enter_context(serving([rollout()], NothingRecorded(), token_file=file))


def ask(served: Served, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(  # noqa: S310 - of this machine
        served.url + path, method=method, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_rollouts_are_told_from_memory(served: Served) -> None:
    status, headers, body = ask(served, LIST)
    told = json.loads(body)
    assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert [(row["name"], row["mark"], row["weight"]) for row in told["rows"]] == [("web", "Moving", 40)]
    assert not told["about"]["acts"]
    assert json.loads(ask(served, ONE)[2])["rollout"]["timeline"][0]["name"] == "all"
    assert json.loads(ask(served, f"{ONE}/series")[2])["why"] == "This rollout has no Prometheus."


@pytest.mark.parametrize(
    "path",
    [
        "api/v1/rollouts/shop/other",
        "api/v1/rollouts/shop/..%2f..",
        "api/v1/rollouts/SHOP/web",
        f"api/v1/rollouts/shop/{'a' * 300}",
        "api/v2/rollouts",
        "../server.py",
        "js/%2e%2e/%2e%2e/server.py",
        "js",
        "js/",
        "__init__.py",
    ],
)
def test_what_is_not_there_is_not_found(served: Served, path: str) -> None:
    assert ask(served, path)[0] == 404


def test_a_stretch_of_time_that_is_none_is_refused(served: Served) -> None:
    assert ask(served, f"{ONE}/series?stretch=9999d")[0] == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["", LIST, ONE, "api/v1/stream"])
def test_nothing_can_be_written(served: Served, method: str, path: str) -> None:
    status, headers, _ = ask(served, path, method)
    assert status == 405
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_every_file_of_the_page_is_served_and_names_no_other_host_and_nothing_inline(served: Served) -> None:
    for path in STATIC.rglob("*.*"):
        status, headers, body = ask(served, str(path.relative_to(STATIC)))
        assert (status, body) == (200, path.read_bytes()), path
        assert ask(served, str(path.relative_to(STATIC)), If_None_Match=headers["ETag"])[0] == 304
    page = (STATIC / "index.html").read_text()
    assert ask(served, "")[2].decode() == page
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)", page)
    scripts = "".join(path.read_text() for path in STATIC.rglob("*.js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", scripts)
    for text in (page, scripts, (STATIC / "app.css").read_text()):
        assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("path", ["", "app.css", LIST, ONE, "nowhere", "api/v1/stream?rollout=A"])
def test_every_answer_carries_the_headers_that_keep_the_page_to_itself(served: Served, path: str) -> None:
    _, headers, _ = ask(served, path)
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert headers["Server"] == "syncrollout"
    assert headers["Cache-Control"] == ("no-cache" if path in ("", "app.css") else "no-store")


def test_a_page_on_the_loopback_address_answers_to_no_name_of_another_site(served: Served) -> None:
    port = served.server.port
    for host in ("localhost", f"localhost:{port}", "127.0.0.1:9", "[::1]:80", "LOCALHOST"):
        assert ask(served, LIST, Host=host)[0] == 200
    for host in ("rebound.example", f"rebound.example:{port}", "localhost.rebound.example", ""):
        for path in ("", LIST):
            assert ask(served, path, Host=host)[0] == 421
    assert ask(served, LIST, Sec_Fetch_Site="cross-site")[0] == 403
    assert ask(served, LIST, Sec_Fetch_Site="same-site")[0] == 403
    assert ask(served, "", Sec_Fetch_Site="cross-site")[0] == 200, "a link from elsewhere opens the page"


@pytest.mark.parametrize("path", [LIST, ONE, f"{ONE}/series", "api/v1/stream", "%61pi/v1/rollouts", "/api/v1/rollouts"])
def test_what_rollouts_say_is_told_to_who_has_the_token_alone(guarded: Served, path: str) -> None:
    for wrong in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Basic {TOKEN}"}, {"Cookie": TOKEN}):
        status, headers, body = ask(guarded, path, **wrong)
        assert status == 404 or (status == 401 and headers["WWW-Authenticate"].startswith("Bearer"))
        assert b"web" not in body
    assert ask(guarded, "")[0] == 200, "the page asks for the token itself"
    assert ask(guarded, LIST, Authorization=f"Bearer {TOKEN}")[0] == 200
    assert ask(guarded, LIST, Authorization=f"Bearer {TOKEN}", Host="rollouts.example")[0] == 200
    assert Outcome.REFUSED in guarded.outcomes or path == "/api/v1/rollouts"


class Stream:
    """A viewer of live updates."""

    def __init__(self, served: Served, path: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", served.server.port), timeout=10)
        self.socket.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])

    def event(self) -> tuple[str, Any]:
        """The next one that tells something."""
        name = ""
        while True:
            line = self.file.readline()
            assert line, "the stream has ended"
            if line.startswith(b"event: "):
                name = line[7:].decode().strip()
            elif line.startswith(b"data: ") and name != "calm":
                return name, json.loads(line[6:])

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def test_a_change_is_told_to_who_looks_at_it_and_what_is_the_same_is_not_told_again(served: Served) -> None:
    one, everything = Stream(served, "api/v1/stream?rollout=shop/web"), Stream(served, "api/v1/stream")
    name, told = one.event()
    assert (name, told["rollout"]["weight"]) == ("rollout", 40)
    name, told = everything.event()
    assert (name, told["all"], [row["name"] for row in told["rows"]]) == ("fleet", True, ["web"])
    served.put(rollout("other", state="Completed"))
    served.put(rollout(version=2, state="Progressing", weight=60))
    assert one.event()[1]["rollout"]["weight"] == 60
    told = everything.event()[1]
    assert not told["all"]
    assert sorted(row["name"] for row in told["rows"]) == ["other", "web"]
    served.remove("shop", "web")
    assert one.event()[1]["rollout"] is None
    assert everything.event()[1]["gone"] == [["shop", "web"]]
    one.close()
    everything.close()


def test_there_are_no_more_viewers_than_there_may_be_and_who_leaves_makes_room(opened: ExitStack) -> None:
    served = opened.enter_context(serving([rollout()], NothingRecorded(), viewers=2))
    first, second = Stream(served, "api/v1/stream"), Stream(served, "api/v1/stream")
    first.event()
    second.event()
    third = Stream(served, "api/v1/stream")
    assert third.status == 503
    assert Outcome.CROWDED in served.outcomes
    for each in (first, third):
        each.close()
    eventually(lambda: served.server.viewers == 1, what="the first viewer to be forgotten")
    fourth = Stream(served, "api/v1/stream")
    assert fourth.status == 200
    for each in (second, fourth):
        each.close()


def test_there_are_no_more_connections_than_there_may_be(opened: ExitStack) -> None:
    served = opened.enter_context(serving([rollout()], NothingRecorded(), connections=3))
    idle = [socket.create_connection(("127.0.0.1", served.server.port)) for _ in range(3)]
    eventually(lambda: _hangs_up(served), timeout=10, what="one connection too many to be ended")
    for each in idle:
        each.close()
    eventually(lambda: not _hangs_up(served), timeout=10, what="room to be made")


def test_a_number_that_is_none_is_left_out_of_the_json() -> None:
    assert encode({"a": [1.5, float("inf"), ("x", float("nan"))]}) == b'{"a":[1.5,null,["x",null]]}'


@pytest.mark.looptime
async def test_questions_are_answered_at_a_pace_that_the_operator_does_not_feel() -> None:
    pace = Pace(20, 80)
    assert [pace.allows() for _ in range(100)] == [True] * 80 + [False] * 20
    await asyncio.sleep(1)
    assert [pace.allows() for _ in range(30)] == [True] * 20 + [False] * 10
    await asyncio.sleep(3600)
    assert sum(pace.allows() for _ in range(100)) == 80


def test_who_asks_too_much_is_put_off_and_the_page_itself_is_served_on(opened: ExitStack) -> None:
    served = opened.enter_context(serving([rollout()], NothingRecorded(), pace=Pace(1e-6, 3)))
    assert [ask(served, LIST)[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    assert ask(served, "")[0] == 200
    assert Outcome.CROWDED in served.outcomes


def _hangs_up(served: Served) -> bool:
    try:
        return ask(served, "favicon.svg")[0] == 0
    except OSError:
        return True


def test_it_stops_at_once_though_somebody_looks(opened: ExitStack) -> None:
    inner = opened.enter_context(ExitStack())
    served = inner.enter_context(serving([rollout()], NothingRecorded()))
    viewer = Stream(served, "api/v1/stream")
    viewer.event()
    began = time.monotonic()
    inner.close()
    assert time.monotonic() - began < 5
    viewer.close()


def test_an_object_that_cannot_be_read_is_said_to_be_so(opened: ExitStack) -> None:
    odd = rollout()
    odd["spec"]["ofALaterRelease"] = {"x": 1}
    served = opened.enter_context(serving([odd], NothingRecorded()))
    shown = json.loads(ask(served, ONE)[2])["rollout"]
    assert "ofALaterRelease" in shown["unreadable"]
    assert ask(served, f"{ONE}/series")[0] == 200


# ---- viewers whom the API server knows ----


def _of(namespace: str, name: str) -> dict[str, Any]:
    made = rollout(name)
    made["metadata"]["namespace"] = namespace
    made["metadata"]["uid"] = f"{namespace}-{name}"
    return made


@pytest.fixture
def reviewer() -> Reviewer:
    made = Reviewer()
    made.people = {"kims": "kim", "admins": "admin", "nones": "none"}
    made.rights = {"kim": {"list syncrollouts shop", "get syncrollouts shop"}, "admin": {"list syncrollouts *"}}
    return made


@pytest.fixture
def reviewed(opened: ExitStack, reviewer: Reviewer) -> Served:
    raws = [rollout(), _of("bank", "ledger")]
    return opened.enter_context(serving(raws, NothingRecorded(), reviewer=reviewer, keep=1.0))


def _names(served: Served, token: str) -> list[str]:
    told = json.loads(ask(served, LIST, Authorization=f"Bearer {token}")[2])
    assert told["total"] == len(told["rows"])
    return [row["name"] for row in told["rows"]]


def test_a_viewer_sees_the_rollouts_that_he_may_read(reviewed: Served) -> None:
    assert _names(reviewed, "kims") == ["web"]
    assert sorted(_names(reviewed, "admins")) == ["ledger", "web"]
    assert _names(reviewed, "nones") == []
    for path in (ONE, f"{ONE}/series"):
        assert ask(reviewed, path, Authorization="Bearer kims")[0] == 200
    for path in ("api/v1/rollouts/bank/ledger", "api/v1/rollouts/bank/ledger/series", "api/v1/rollouts/bank/none",
                 "api/v1/stream?rollout=bank/ledger"):  # fmt: skip
        status, _, body = ask(reviewed, path, Authorization="Bearer kims")
        assert status == 403, "whether it is there or not"
        assert b"kim may not get syncrollouts.syncrollout.io in namespace bank" in body
    for header in ({}, {"Authorization": "Bearer guessed"}):
        assert ask(reviewed, LIST, **header)[0] == 401
        assert ask(reviewed, "api/v1/stream", **header)[0] == 401
    assert ask(reviewed, "", Sec_Fetch_Site="cross-site")[0] == 200
    assert ask(reviewed, LIST, Authorization="Bearer kims", Sec_Fetch_Site="cross-site")[0] == 403


def test_where_there_are_too_many_a_viewer_sees_his_own_all_the_same(
    reviewed: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST_ROWS", 2)
    reviewed.put(_of("shop", "till"))
    assert "till" in _names(reviewed, "kims")
    request = urllib.request.Request(  # noqa: S310 - of this machine
        f"{reviewed.url}api/v1/stream", headers={"Authorization": "Bearer kims"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        answer.readline()
        assert b"till" in answer.readline()
        reviewed.put(_of("shop", "safe"))
        assert b"safe" in answer.read()


def test_live_updates_hold_what_a_viewer_may_see_and_end_to_be_reviewed_again(
    reviewed: Served, reviewer: Reviewer
) -> None:
    request = urllib.request.Request(  # noqa: S310 - of this machine
        f"{reviewed.url}api/v1/stream", headers={"Authorization": "Bearer kims"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        first = answer.readline(), answer.readline()
        assert b"web" in first[1]
        assert b"ledger" not in first[1]
        reviewed.put(_of("bank", "vault"))
        reviewed.put(_of("shop", "till"))
        rest = answer.read()  # to its end: it lasts as long as what was reviewed counts
    assert b"till" in rest
    assert b"vault" not in rest
    reviewer.rights = {}
    eventually(lambda: _names(reviewed, "kims") == [], timeout=10, what="what was taken away to count")

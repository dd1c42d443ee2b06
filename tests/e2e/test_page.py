"""The page that the operator serves, in a real browser, while a rollout goes its way on the real control plane."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import plan
from e2e.operators import Operator, Operators
from e2e.scene import DEADLINE, Scene, Stage
from testbed.ports import free_port
from testbed.waiting import eventually
from ui.browser import PHONE, Browser, browser, missing

pytestmark = [pytest.mark.cluster, pytest.mark.browser]

TOKEN = "a-token-of-this-test-alone"  # noqa: S105 - a test's
TRIGGERS = [{"severity": "High", "metric": "errors", "above": 20}]


@pytest.fixture
def window() -> Iterator[Browser]:
    """A window of headless Chromium."""
    why = missing()
    if why:
        pytest.skip(why)
    with browser() as opened:
        yield opened


@pytest.fixture
def served(operators: Operators, tmp_path: Path) -> tuple[Operator, str]:
    """An operator that serves the page, and where."""
    token, port = tmp_path / "token", free_port()
    token.write_text(TOKEN)
    flags = ("--ui", f"--ui-listen-port={port}", f"--ui-token-file={token}", "--prometheus-concurrency=8")
    return operators.own("with-page", *flags), f"http://127.0.0.1:{port}/"


def requests_so_far(stage: Stage, operator: Operator) -> float:
    """Requests of the operator's to the API server, the renewals of its Lease left out."""
    series = operator.metrics().items()
    return sum(n for name, n in series if name.startswith("syncrollout_api_requests_total") and "leases" not in name)


def test_a_rollout_is_followed_to_its_incident_without_a_reload(
    window: Browser, served: tuple[Operator, str], operators: Operators, scene: Scene
) -> None:
    operator, url = served
    phases = [plan.phase("small", 10, "4s"), plan.phase("half", 50, plan.LONG, rollbackOn=[])]
    rollout = scene.rollout(phases, rollback={"triggers": TRIGGERS, "high": {"within": "1h"}})

    # nothing is told to who has no token
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{url}api/v1/rollouts", timeout=5)  # noqa: S310 - of this machine
    window.open(f"{url}#/{scene.namespace}/move")
    window.until("Who looks?")
    window.one("input[name=token]").send_keys(TOKEN)
    window.click(".main-button")
    window.until("move", "small")
    window.complaints()  # of the answer that was a refusal
    window.run("window.sameDocument = true")

    rollout.until(phase="half", stands=True)
    window.until("Phase 2/2 half: new has 50 %.", timeout=30)
    assert window.text(".side.is-new .side-share").startswith("50")
    window.settled(lambda: len(window.all(".spark")) >= 3, "series of the real Prometheus to be drawn")
    labels = [each.get_attribute("aria-label") or "" for each in window.all(".spark")]
    assert any("duration of new over time" in label and "old: least 1" in label for label in labels)

    scene.set("errors", 25, "new")
    rollout.until("Holding", reason="RollbackDue")
    window.until("High incident", "kubectl syncrollout override move -m WHY", timeout=30)
    window.settled(lambda: "25" in window.text(".criterion.tone-bad"), "the reading to be shown")
    assert window.run("return window.sameDocument")

    # a phone: nothing is wider than it is
    window.open(f"{url}#/{scene.namespace}/move", size=PHONE, dark=True)
    window.until("High incident")
    assert window.overflow() == 0
    assert window.complaints() == []

    # whoever looks, the API server is asked for nothing
    before = requests_so_far(scene.stage, operator)
    for _ in range(20):
        for path in ("", f"/{scene.namespace}/move", f"/{scene.namespace}/move/series"):
            told = ask(url, path)
    assert {each["metric"] for each in told["series"]} == {"errors", "duration", "weight"}
    assert requests_so_far(scene.stage, operator) - before < 20, "one in 60 questions at most made a request"
    assert operator.metrics()['syncrollout_ui_requests_total{result="served"}'] > 60

    # one that stands by shows what is recorded
    port = free_port()
    operators.own("stands-by", "--ui", f"--ui-listen-port={port}", leading=False)
    shown = eventually(
        lambda: ask(f"http://127.0.0.1:{port}/", "")["rows"], timeout=DEADLINE, what="the list on the other replica"
    )
    assert [(row["name"], row["mark"]) for row in shown if row["namespace"] == scene.namespace] == [("move", "Trouble")]
    one = ask(f"http://127.0.0.1:{port}/", f"/{scene.namespace}/move")
    assert not one["about"]["acts"]
    assert one["rollout"]["incident"]["severity"] == "High"


def ask(url: str, path: str) -> dict[str, Any]:
    """What the page's API tells who has the token."""
    request = urllib.request.Request(  # noqa: S310 - of this machine
        f"{url}api/v1/rollouts{path}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        told: dict[str, Any] = json.load(answer)
    return told

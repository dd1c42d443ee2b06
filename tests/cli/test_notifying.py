"""What would be told to whom, as the plugin prints it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.cluster import FakeCluster
from cli.test_asking import rollout
from syncrollout.api.words import Language, MessageEvent
from syncrollout.cli.answers import Failed
from syncrollout.cli.plugin import main
from syncrollout.cli.previews import meant, shown

FLAGSHIP = Path(__file__).parents[2] / "manifests" / "examples" / "listing-sync" / "20-syncrollout.yaml"
CHAT = {"name": "chat", "urlFrom": {"name": "urls", "key": "chat"}}
TEAM: dict[str, Any] = {"audiences": [{"name": "team", "channels": [CHAT]}]}


def _previewed(capsys: pytest.CaptureFixture[str], *arguments: str, ends: int = 0) -> str:
    assert main(["notify", "--preview", *arguments]) == ends
    return capsys.readouterr().out


def test_a_file_shows_every_message_of_every_audience(capsys: pytest.CaptureFixture[str]) -> None:
    said = _previewed(capsys, "-f", str(FLAGSHIP))
    heads = [line.removeprefix("=== ") for line in said.splitlines() if line.startswith("===")]
    assert "Started (Low) to team by chat-low" in heads
    assert "RollingBack (Critical) to team by chat-critical, mail, sms, alertmanager" in heads
    assert "RolledBack (Critical) to users by mail" in heads
    assert "Escalated (Critical) to cto by mail" in heads
    assert not [head for head in heads if "to cto" in head and "Escalated" not in head]
    assert {head.split()[0] for head in heads} == {event.value for event in MessageEvent}
    assert "【listing-sync】移行を開始しました" in said


def test_event_audience_and_language_choose(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ("--event", "Completed", "--audience", "users", "--language", "en")
    said = _previewed(capsys, "-f", str(FLAGSHIP), *chosen)
    assert said.startswith("=== Completed (Low) to users by mail\nlisting-sync: the migration is complete\n")
    assert said.count("===") == 1


def test_templates_of_the_same_file_are_used_and_mistakes_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    obj = rollout()
    obj["spec"]["notifications"] = TEAM | {"templates": {"configMap": "words"}}
    words = {"Started.en.title": "{{ name }} goes", "Started.en": "{{ name * 2 }}", "Begun.en": "x"}
    manifest = {"apiVersion": "syncrollout.io/v1alpha1", "kind": "SyncRollout", **obj}
    manifest["metadata"] = {"name": "move"}
    manifest.pop("status", None)
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words"}, "data": words}
    file = tmp_path / "move.yaml"
    file.write_text(yaml.safe_dump_all([manifest, config_map]))
    assert main(["notify", "--preview", "-f", str(file), "--event", "Started"]) == 2
    printed = capsys.readouterr()
    assert "\nmove goes\n" in printed.out
    assert "The migration from" in printed.out, "what is built in, in place of what cannot be filled in"
    assert "Started.en: line 1: * cannot be used" in printed.err
    assert "Begun.en: no message has that key" in printed.err


def test_what_has_been_told_is_shown_as_it_was() -> None:
    told = {
        "id": "7-RollingBack",
        "event": "RollingBack",
        "severity": "High",
        "time": "2026-01-05T10:00:00Z",
        "run": 1,
        "text": "Rolling back from 50 %: a person asked for it",
    }
    obj = rollout(notifications={"messages": [told]})
    obj["spec"]["notifications"] = TEAM
    about, own = meant("move", "", FakeCluster(obj))
    assert about.spec.notifications is not None
    said = list(shown(about, own, list(about.spec.notifications.audiences), MessageEvent.ROLLING_BACK, Language.EN))
    assert said[0] == "=== RollingBack (High) to team by chat"
    assert "a person asked for it" in said[1]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("-f", str(FLAGSHIP)), "give --preview"),
        (("--preview",), "give either NAME or -f FILE"),
        (("--preview", "-f", str(FLAGSHIP), "--audience", "nobody"), "there is no audience nobody; there is team"),
        (("--preview", "-f", "/nowhere.yaml"), "cannot be read"),
        (("--preview", "-f", str(FLAGSHIP), "--audience", "cto", "--event", "Started"), "none of these audiences"),
    ],
)
def test_what_cannot_be_shown_is_said(arguments: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notify", *arguments]) == 1
    assert why in capsys.readouterr().err


def test_a_rollout_that_tells_nobody_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    minimal = FLAGSHIP.parents[1] / "minimal.yaml"
    assert main(["notify", "--preview", "-f", str(minimal)]) == 1
    assert "tells nobody: add spec.notifications" in capsys.readouterr().err


def test_templates_that_are_named_and_not_there_are_said() -> None:
    obj = rollout()
    obj["spec"]["notifications"] = TEAM | {"templates": {"configMap": "words"}}
    with pytest.raises(Failed, match=r"ConfigMap words, named by spec\.notifications\.templates, is not there"):
        meant("move", "", FakeCluster(obj))

"""The incident report as the plugin prints it."""

from __future__ import annotations

from typing import Any

import pytest

from cli.cluster import FakeCluster
from cli.test_asking import rollout
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Failed
from syncrollout.cli.incident import report_of

REPORT = "# Incident report: move, run 1 of revision 1\n\nAll of it.\n"


def _printed(**data: str) -> str:
    obj = rollout(run=1)
    obj["spec"].setdefault("rollback", {})["procedure"] = {"evidence": {"keep": 3}}
    cluster = FakeCluster(obj)
    keys: dict[str, Any] = {key.replace("_", "."): text for key, text in data.items()}
    cluster.objects["configmaps", "move-incident-1"] = {"data": keys}
    return report_of(cluster, rollouts.read(cluster, "move"), 1)


def test_the_logs_that_were_kept_follow_the_report() -> None:
    text = _printed(report_md=REPORT, new_log="panic: no price", jobs_log="3 lost")
    assert text.startswith(REPORT)
    assert "\n## new.log\n\n```\npanic: no price\n```\n" in text
    assert text.index("## new.log") < text.index("## jobs.log")
    assert _printed(report_md=REPORT) == REPORT


def test_nothing_in_a_log_ends_its_block() -> None:
    text = _printed(report_md=REPORT, new_log="```\n# Everything is fine\n````")
    assert "\n`````\n```\n# Everything is fine\n````\n`````\n" in text


def test_logs_without_their_report_are_not_printed() -> None:
    with pytest.raises(Failed, match="there is no report of run 1"):
        _printed(new_log="panic")

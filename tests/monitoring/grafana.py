"""Dashboards read by Grafana's own types: what these do not know is a field that Grafana ignores in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

Json = Any
UNTYPED = {"step", "titleFormat", "textFormat"}
"""Fields of annotations by Prometheus, which Grafana's schema leaves open: public/app/plugins/datasource/prometheus."""


def unknown_fields(dashboard: dict[str, Json]) -> list[str]:
    """Paths of fields that are lost or changed when Grafana's types read the dashboard and write it again."""
    register_default_plugins()
    written = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    return [path for path in _lost(dashboard, written, "") if path.rpartition(".")[2] not in UNTYPED]


def _lost(before: Json, after: Json, path: str) -> Iterator[str]:
    if isinstance(before, dict):
        for key, value in before.items():
            if not isinstance(after, dict) or key not in after:
                if value is not None:
                    yield f"{path}.{key}"
            else:
                yield from _lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list):
        if not isinstance(after, list) or len(before) != len(after):
            yield path
            return
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _lost(one, other, f"{path}[{place}]")
    elif before != after:
        yield f"{path}: {before!r} becomes {after!r}"


def panels(dashboard: dict[str, Json]) -> list[dict[str, Json]]:
    """All panels but the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(dashboard: dict[str, Json]) -> Iterator[tuple[str, str, bool]]:
    """Where each expression stands, what it is, and whether it is asked of the operator's Prometheus."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["datasource"]["uid"] == "${operator}"
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"], annotation["datasource"]["uid"] == "${operator}"

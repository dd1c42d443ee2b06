"""What Grafana's dashboards are put together of, as its JSON has it. Pure.

A panel is a dict without a place; `laid_out` gives each its id and its place on the grid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

Json = dict[str, Any]
COLUMNS: Final = 24
METRICS, OPERATOR = "datasource", "operator"
"""Variables that name the Prometheus of the rollout's own metrics, and that which scrapes the operator."""
GREEN, RED = "green", "red"
Steps = Sequence[tuple[float | None, str]]
"""From which value on which colour; the first begins at None."""
PLAIN: Final[Steps] = ((None, GREEN),)
_UNITS: Final = {
    "percent": "percent",
    "seconds": "s",
    "s": "s",
    "milliseconds": "ms",
    "ms": "ms",
    "bytes": "bytes",
    "": "short",
}


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel."""

    expr: str
    legend: str = ""
    source: str = METRICS
    instant: bool = False
    """Its value now, in one row for each series, instead of what it was over time."""
    table: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels below one heading."""

    title: str
    panels: tuple[Json, ...] = field(default=())


def unit(name: str) -> str:
    """A metric's unit as Grafana calls it."""
    return _UNITS.get(name, f"suffix: {name}")


def lines(title: str, *queries: Query, of: str = "short", steps: Steps = PLAIN, width: int = 8, text: str = "") -> Json:
    """Values over time. Limits are drawn as lines."""
    custom = {
        "drawStyle": "line",
        "fillOpacity": 8,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": False,
        "thresholdsStyle": {"mode": "dashed" if len(steps) > 1 else "off"},
    }
    options = {
        "legend": {
            "calcs": ["min", "mean", "max", "lastNotNull"],
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel("timeseries", title, queries, options, (width, 8), of=of, steps=steps, custom=custom, text=text)


def number(title: str, *queries: Query, of: str = "short", steps: Steps = PLAIN, width: int = 4) -> Json:
    """One number, of now."""
    return _stat(title, queries, of=of, steps=steps, width=width, text_mode="value")


def word(title: str, query: Query, *, width: int = 4) -> Json:
    """The legend of the one series that there is now, in large letters."""
    return _stat(title, (query,), width=width, text_mode="name")


def bars(title: str, *queries: Query, of: str = "short", steps: Steps = PLAIN, width: int = 8) -> Json:
    """Several numbers of now, as bars."""
    options = {
        "displayMode": "gradient",
        "orientation": "horizontal",
        "reduceOptions": _LAST,
        "showUnfilled": True,
        "valueMode": "color",
    }
    return _panel("bargauge", title, _of_now(queries), options, (width, 8), of=of, steps=steps)


def timeline(title: str, *queries: Query, width: int = 24, mappings: Sequence[Json] = ()) -> Json:
    """Which of several words was true when."""
    options = {
        "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "rowHeight": 0.9,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"fillOpacity": 70, "lineWidth": 0}
    return _panel("state-timeline", title, queries, options, (width, 7), custom=custom, mappings=mappings)


def table(
    title: str,
    *queries: Query,
    transformations: Sequence[Json],
    of: str = "short",
    overrides: Sequence[Json] = (),
    width: int = 12,
    height: int = 8,
    text: str = "",
) -> Json:
    """Rows of what the queries give."""
    options = {"cellHeight": "sm", "showHeader": True}
    panel = _panel("table", title, queries, options, (width, height), of=of, text=text)
    panel["transformations"] = list(transformations)
    panel["fieldConfig"]["overrides"] = list(overrides)
    return panel


def column(name: str, **properties: Any) -> Json:
    """How one column of a table differs from the others."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def organized(hidden: Iterable[str], names: dict[str, str]) -> Json:
    """Columns left out, and others called by names that say something; in the order of these."""
    return {
        "id": "organize",
        "options": {
            "excludeByName": dict.fromkeys(hidden, True),
            "indexByName": {name: index for index, name in enumerate(names)},
            "renameByName": {name: shown for name, shown in names.items() if name != shown},
        },
    }


def laid_out(rows: Iterable[Row]) -> list[Json]:
    """The panels of all rows, each with its id and place."""
    placed: list[Json] = []
    y = 0
    for row in rows:
        if not row.panels:
            continue
        heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        placed.append({**heading, "id": len(placed) + 1, "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}})
        y += 1
        x = height = 0
        for panel in row.panels:
            w, h = panel["gridPos"]["w"], panel["gridPos"]["h"]
            if x + w > COLUMNS:
                x, y, height = 0, y + height, 0
            placed.append({**panel, "id": len(placed) + 1, "gridPos": {"x": x, "y": y, "w": w, "h": h}})
            x, height = x + w, max(height, h)
        y += height
    return placed


def dashboard(
    key: str,
    title: str,
    rows: Iterable[Row],
    *,
    text: str,
    since: str,
    refresh: str,
    tags: Sequence[str],
    variables: Sequence[Json],
    annotations: Sequence[Json] = (),
    links: Sequence[Json] = (),
) -> Json:
    """A dashboard as Grafana imports it; the same `key` is the same dashboard."""
    return {
        "uid": f"sro-{hashlib.sha256(key.encode()).hexdigest()[:32]}",
        "title": title,
        "description": text,
        "tags": list(tags),
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": f"now-{since}", "to": "now"},
        "refresh": refresh,
        "schemaVersion": 39,
        "templating": {"list": list(variables)},
        "annotations": {"list": list(annotations)},
        "links": list(links),
        "panels": laid_out(rows),
    }


def source_variable(name: str, label: str) -> Json:
    """The variable that names a Prometheus; Grafana fills in its first one."""
    return {"type": "datasource", "name": name, "label": label, "query": "prometheus", "hide": 0, "skipUrlSync": False}


def source(name: str) -> Json:
    """The reference to it."""
    return {"type": "prometheus", "uid": f"${{{name}}}"}


_LAST: Final[Json] = {"calcs": ["lastNotNull"], "fields": "", "values": False}


def _of_now(queries: Sequence[Query]) -> list[Query]:
    """Asked for this moment: over a range, a series that has ended would still be shown by its last value."""
    return [replace(query, instant=True) for query in queries]


def _stat(
    title: str, queries: Sequence[Query], *, width: int, text_mode: str, of: str = "short", steps: Steps = PLAIN
) -> Json:
    options = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": _LAST,
        "textMode": text_mode,
    }
    return _panel("stat", title, _of_now(queries), options, (width, 4), of=of, steps=steps)


def _panel(
    kind: str,
    title: str,
    queries: Sequence[Query],
    options: Json,
    size: tuple[int, int],
    *,
    of: str = "short",
    steps: Steps = PLAIN,
    custom: Json | None = None,
    mappings: Sequence[Json] = (),
    text: str = "",
) -> Json:
    defaults: Json = {
        "unit": of,
        "thresholds": {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]},
        "mappings": list(mappings),
    }
    if custom is not None:
        defaults["custom"] = custom
    panel: Json = {
        "type": kind,
        "title": title,
        "datasource": source(queries[0].source),
        "gridPos": {"w": size[0], "h": size[1]},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [_target(chr(ord("A") + place), query) for place, query in enumerate(queries)],
    }
    return panel | ({"description": text} if text else {})


def _target(ref: str, query: Query) -> Json:
    return {
        "refId": ref,
        "datasource": source(query.source),
        "expr": query.expr,
        "legendFormat": query.legend,
        "instant": query.instant,
        "range": not query.instant,
        "format": "table" if query.table else "time_series",
        "editorMode": "code",
    }

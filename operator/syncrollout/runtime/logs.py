"""Log lines that name the rollout and the phase they speak of, for people (text) or machines (JSON lines).

with log_context(rollout="listings/listing-sync", phase="small-traffic"):
    log.info("weights stand")       # also in tasks that are created inside
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal, TextIO

_CONTEXT: ContextVar[Mapping[str, str]] = ContextVar("log_context", default={})  # noqa: B039 - never written to
_NOISY: Mapping[str, int] = {
    # what they tell of is told by our own lines, metrics or the API server's audit log
    "kopf": logging.WARNING,
    "aiohttp": logging.WARNING,
    "aiohttp.access": logging.ERROR,
    "asyncio": logging.WARNING,
    "kubernetes": logging.WARNING,
    "urllib3": logging.ERROR,  # warns of every retry and of every connection beyond its pool
    "prometheus_api_client": logging.WARNING,
}


@contextmanager
def log_context(**fields: str) -> Iterator[None]:
    """Say in every log line within what it is about; empty values are left out. Nests; inner fields win."""
    token = _CONTEXT.set({**_CONTEXT.get(), **fields})
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def current_context() -> Mapping[str, str]:
    """The fields that a line would carry now."""
    return {key: value for key, value in _CONTEXT.get().items() if value}


def configure(
    format: Literal["text", "json"] = "text",  # noqa: A002 - named as the setting is
    level: Literal["debug", "info", "warning", "error"] = "info",
    stream: TextIO | None = None,
) -> None:
    """Send all log lines of the process to `stream` (stderr); what was configured before is replaced."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    chosen = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(chosen)
    for name, least in _NOISY.items():
        logging.getLogger(name).setLevel(max(least, chosen))
    logging.captureWarnings(capture=True)


class TextFormatter(logging.Formatter):
    """`2026-03-02T10:00:00.123Z INFO    listings/listing-sync small-traffic: weights stand`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it where there is one."""
        about = " ".join(current_context().values())
        # what others wrote (an answer of Prometheus, say) may hold line breaks: they must not look like lines of ours
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = f"{_time(record)} {record.levelname:<7} {about or record.name}: {message}"
        trace = _trace(self, record)
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the context's fields, and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever is in it."""
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **current_context(),
        }
        trace = _trace(self, record)
        if trace:
            line["exception"] = trace
        return json.dumps(line, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


__all__ = ["JsonFormatter", "TextFormatter", "configure", "current_context", "log_context"]

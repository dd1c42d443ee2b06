"""`kubectl syncrollout backtest`: what a rollout would have done, by what Prometheus has recorded."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from syncrollout.api.fields import format_time, parse_duration
from syncrollout.backtest import show
from syncrollout.backtest.history import Archive, HistoryError, Moments
from syncrollout.backtest.manifest import Manifest, ManifestError, load
from syncrollout.backtest.prometheus import PrometheusHistory
from syncrollout.backtest.replay import Replay
from syncrollout.cli.answers import Ended, Failed
from syncrollout.ports import Endpoint

MOST_MOMENTS: Final = 2_000_000
"""Readings of one metric: a month at 2 s, or two years at 30 s."""


class Output(StrEnum):
    """The forms of an answer."""

    TABLE = "table"
    JSON = "json"


_File = Annotated[
    str, typer.Option("-f", "--filename", metavar="FILE", help="The SyncRollout, as YAML; - is standard input.")
]
_From = Annotated[
    str,
    typer.Option("--from", metavar="TIME", help="When it would have begun: a time with its zone, or 7d: so long ago."),
]
_To = Annotated[str, typer.Option("--to", metavar="TIME", help="Until when to look, likewise.")]
_Url = Annotated[
    str, typer.Option(metavar="URL", show_default=False, help="The Prometheus to ask, unless that of the spec.")
]
_Namespace = Annotated[
    str,
    typer.Option("-n", "--namespace", metavar="NAME", help="What $namespace becomes where the file does not say."),
]
_Step = Annotated[
    str, typer.Option(metavar="DURATION", show_default=False, help="Time between readings, unless the spec's interval.")
]
_Output = Annotated[Output, typer.Option("-o", "--output", help="The form of the answer.")]
Token = Annotated[
    Path | None, typer.Option(metavar="FILE", show_default=False, help="A bearer token to present to Prometheus.")
]
Login = Annotated[
    Path | None,
    typer.Option(metavar="FILE", show_default=False, help="Instead of a token: user:password, on one line."),
]
Ca = Annotated[
    Path | None, typer.Option(metavar="FILE", show_default=False, help="Certificate authorities to trust, PEM.")
]
_Timeout = Annotated[str, typer.Option(metavar="DURATION", help="How long one query may take.")]


def backtest(
    *,
    file: _File,
    begin: _From,
    end: _To = "now",
    prometheus: _Url = "",
    namespace: _Namespace = "default",
    step: _Step = "",
    output: _Output = Output.TABLE,
    token_file: Token = None,
    login_file: Login = None,
    ca_file: Ca = None,
    timeout: _Timeout = "60s",
) -> None:
    """Say what a rollout would have done, by what Prometheus has recorded.

    The operator's own decisions are taken on recorded readings. Exit code 0: it completes; 2: it rolls back; 3: it
    still holds, or is on its way, at the end; 1: there is no answer.
    """
    began = time.monotonic()
    manifest = _read(file)
    declared = manifest.spec.prometheus
    assert declared is not None
    seconds = duration("--step", step) if step else declared.interval
    moments = _moments(begin, end, seconds, time.time())
    if token_file is not None and login_file is not None:
        raise Failed("give either --token-file or --login-file")
    endpoint = Endpoint(
        prometheus or declared.address,
        bearer_token=content("--token-file", token_file),
        basic_auth=login(login_file),
        ca=content("--ca-file", ca_file),
    )
    where = manifest.namespace or namespace
    try:
        archive = Archive(PrometheusHistory(endpoint, duration("--timeout", timeout)), moments)
        story = Replay(manifest.spec, where, archive).run()
    except HistoryError as error:
        raise Failed(str(error)) from error
    asked = show.Asked(
        rollout=f"{where}/{manifest.name}",
        address=endpoint.address,
        start=moments.start / 1000,
        end=moments.end / 1000,
        step=seconds,
        queries=archive.queries,
        requests=len(archive.asked),
        took=time.monotonic() - began,
        warnings=tuple(archive.warnings),
    )
    if output is Output.JSON:
        typer.echo(json.dumps(show.as_json(story, asked), indent=2))
    else:
        typer.echo(show.as_text(story, asked))
    raise Ended(story.outcome.exit_code)


def _read(file: str) -> Manifest:
    try:
        return load(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"), file)
    except ManifestError as error:
        raise Failed(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{file} cannot be read: {error}") from error


def content(option: str, file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{option}: {file} cannot be read: {error}") from error


def login(file: Path | None) -> tuple[str, str] | None:
    text = content("--login-file", file)
    if text is None:
        return None
    user, colon, password = text.partition(":")
    if not colon or "\n" in text:
        raise Failed(f"--login-file: {file} has to hold user:password, on one line")
    return user, password


def duration(option: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise Failed(f"{option}: {error}") from error
    if seconds <= 0:
        raise Failed(f"{option}: give more than 0 seconds")
    return seconds


def _moment(option: str, text: str, now: float) -> float:
    """Seconds since the epoch, whole ones."""
    if text == "now":
        return float(int(now))
    try:
        return float(int(now - parse_duration(text)))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{option}: {text!r} is neither a time, such as 2026-11-01T09:00:00+09:00, nor a duration, such as 7d"
        raise Failed(msg) from error
    if moment.tzinfo is None:
        raise Failed(f"{option}: {text!r} has no time zone: add Z for UTC, or an offset such as +09:00")
    return float(int(moment.timestamp()))


def _moments(begin: str, end: str, step: float, now: float) -> Moments:
    start, until = _moment("--from", begin, now), _moment("--to", end, now)
    if until > now + 1:
        raise Failed(f"--to: {format_time(until)} has not come yet, so nothing is recorded of it")
    if start >= until:
        raise Failed(f"--from ({format_time(start)}) has to be before --to ({format_time(until)})")
    count = int((until - start) / step) + 1
    if count > MOST_MOMENTS:
        raise Failed(f"{count} readings of each metric are too many: give a longer --step, or less time")
    return Moments(round(start * 1000), round(step * 1000), count)


__all__ = ["Ca", "Login", "Token", "backtest", "content", "duration", "login"]

"""The kubectl plugin: `kubectl syncrollout backtest`, on the machine of the person who types it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from syncrollout import __version__
from syncrollout.api.fields import format_time, parse_duration
from syncrollout.backtest import show
from syncrollout.backtest.history import Archive, HistoryError, Moments
from syncrollout.backtest.manifest import Manifest, ManifestError, load
from syncrollout.backtest.prometheus import PrometheusHistory
from syncrollout.backtest.replay import Replay
from syncrollout.ports import Endpoint

FAILED: Final = 1
"""Exit code of everything that is no answer; 2 and 3 are answers of a backtest."""
MOST_MOMENTS: Final = 2_000_000
"""Readings of one metric: a month at 2 s, or two years at 30 s."""

app = typer.Typer(
    help="What a SyncRollout does, from the command line.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Output(StrEnum):
    """The forms of an answer."""

    TABLE = "table"
    JSON = "json"


class _Ended(Exception):
    """The command has ended with this exit code. Not typer's own, which cannot be told from wrong use."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Wrong(Exception):
    """What a person has to put right, in a sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers its exit code. Wrong use is 1, for 2 is what a backtest that rolls back ends with."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        app(given, prog_name="kubectl syncrollout")
    except _Ended as ended:
        return ended.code
    except (_Wrong, HistoryError, ManifestError) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except SystemExit as ended:
        return FAILED if ended.code else 0
    return 0


@app.command()
def version() -> None:
    """Say which version this is."""
    typer.echo(f"kubectl-syncrollout {__version__}")


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
_Token = Annotated[
    Path | None, typer.Option(metavar="FILE", show_default=False, help="A bearer token to present to Prometheus.")
]
_Login = Annotated[
    Path | None,
    typer.Option(metavar="FILE", show_default=False, help="Instead of a token: user:password, on one line."),
]
_Ca = Annotated[
    Path | None, typer.Option(metavar="FILE", show_default=False, help="Certificate authorities to trust, PEM.")
]
_Timeout = Annotated[str, typer.Option(metavar="DURATION", help="How long one query may take.")]


@app.command()
def backtest(
    *,
    file: _File,
    begin: _From,
    end: _To = "now",
    prometheus: _Url = "",
    namespace: _Namespace = "default",
    step: _Step = "",
    output: _Output = Output.TABLE,
    token_file: _Token = None,
    login_file: _Login = None,
    ca_file: _Ca = None,
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
    seconds = _duration("--step", step) if step else declared.interval
    moments = _moments(begin, end, seconds, time.time())
    endpoint = Endpoint(
        prometheus or declared.address,
        bearer_token=_content("--token-file", token_file),
        basic_auth=_login(login_file),
        ca=_content("--ca-file", ca_file),
    )
    archive = Archive(PrometheusHistory(endpoint, _duration("--timeout", timeout)), moments)
    where = manifest.namespace or namespace
    story = Replay(manifest.spec, where, archive).run()
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
    raise _Ended(story.outcome.exit_code)


def _read(file: str) -> Manifest:
    if file == "-":
        return load(sys.stdin.read(), "stdin")
    try:
        return load(Path(file).read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError) as error:
        raise _Wrong(f"{file} cannot be read: {error}") from error


def _content(option: str, file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _Wrong(f"{option}: {file} cannot be read: {error}") from error


def _login(file: Path | None) -> tuple[str, str] | None:
    text = _content("--login-file", file)
    if text is None:
        return None
    user, colon, password = text.partition(":")
    if not colon or "\n" in text:
        raise _Wrong(f"--login-file: {file} has to hold user:password, on one line")
    return user, password


def _duration(option: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise _Wrong(f"{option}: {error}") from error
    if seconds <= 0:
        raise _Wrong(f"{option}: give more than 0 seconds")
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
        raise _Wrong(msg) from error
    if moment.tzinfo is None:
        raise _Wrong(f"{option}: {text!r} has no time zone: add Z for UTC, or an offset such as +09:00")
    return float(int(moment.timestamp()))


def _moments(begin: str, end: str, step: float, now: float) -> Moments:
    start, until = _moment("--from", begin, now), _moment("--to", end, now)
    if until > now + 1:
        raise _Wrong(f"--to: {format_time(until)} has not come yet, so nothing is recorded of it")
    if start >= until:
        raise _Wrong(f"--from ({format_time(start)}) has to be before --to ({format_time(until)})")
    count = int((until - start) / step) + 1
    if count > MOST_MOMENTS:
        raise _Wrong(f"{count} readings of each metric are too many: give a longer --step, or less time")
    return Moments(round(start * 1000), round(step * 1000), count)


__all__ = ["main"]

"""The run as it happens: a live picture on a terminal, plain lines on change anywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.scene import SHARE_SECONDS, Criterion, Frame, Slots, Step
from syncrollout.shards import SLOTS

_STATE_STYLE = {
    "Completed": "bold green",
    "RollingBack": "bold red",
    "RolledBack": "bold red",
    "Holding": "bold yellow",
    "Paused": "bold yellow",
}
_VERDICT_STYLE = {"Pass": "green", "Fail": "bold red", "Unknown": "yellow"}
_STEP_STYLE = {"Succeeded": "green", "Failed": "bold red", "Overrun": "bold red", "Running": "bold cyan"}
_EVENTS = 6
_SHARE_EVERY = 5.0


class View(Protocol):
    """Shows frames; `say` is for the demo's own words, such as that a fault was injected."""

    def show(self, frame: Frame) -> None: ...

    def say(self, text: str) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_view(console: Console) -> View:
    """The one that fits what the output is."""
    return LiveView(console) if console.is_terminal and not console.is_dumb_terminal else PlainView()


class LiveView:
    """Redraws in place, a few times a second."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=5, transient=False)
        self._said: list[str] = []
        self._shown = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._said.append(text)

    def show(self, frame: Frame) -> None:
        if time.monotonic() - self._shown < 0.2:
            return
        self._shown = time.monotonic()
        parts: list[RenderableType] = [
            _headline(frame),
            _phases(frame),
            _weights(frame),
            _criteria(frame),
        ]
        if frame.steps:
            parts += [Text(""), _steps(frame)]
        parts.append(_events(frame))
        if self._said:
            parts.append(Text("\n".join(f"» {text}" for text in self._said), style="bold magenta"))
        self._live.update(Panel(Group(*parts), title="SyncRollout listings/listing-sync", border_style="blue"))


class PlainView:
    """A line when something changes; no control codes."""

    def __init__(self) -> None:
        self._state = ""
        self._weight: int | None = None
        self._slots: tuple[int, str] | None = None
        self._verdicts: dict[tuple[str, str, str], str] = {}
        self._events = 0
        self._steps: dict[str, str] = {}
        self._progress = ""
        self._share_due = 0.0
        self._elapsed = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout.flush()

    def say(self, text: str) -> None:
        self._line(f"demo     {text}")

    def show(self, frame: Frame) -> None:
        self._elapsed = frame.elapsed
        state = f"{frame.state or 'no status yet'} {frame.phase}".rstrip()
        if state != self._state:
            self._state = state
            self._line(f"state    {state}: {frame.message}")
        if frame.weight is not None and frame.weight != self._weight:
            self._weight = frame.weight
            self._line(f"weight   {frame.weight} % of new, at the API server")
            self._share_due = frame.elapsed + SHARE_SECONDS
        if frame.slots is not None and (frame.slots.epoch, frame.slots.stage) != self._slots:
            self._slots = (frame.slots.epoch, frame.slots.stage)
            self._line(f"slots    {_slots_words(frame.slots)}")
            self._share_due = frame.elapsed + SHARE_SECONDS
        for criterion in frame.criteria:
            key = (criterion.role, criterion.metric, criterion.limit)
            if self._verdicts.get(key) != criterion.verdict:
                self._verdicts[key] = criterion.verdict
                self._line(f"verdict  {_criterion_words(criterion)}")
        for event in frame.events[self._events :]:
            self._line(f"event    {event}")
        self._events = max(self._events, len(frame.events))
        for step in frame.steps:
            if self._steps.get(step.name, "Waiting") != step.state:
                self._steps[step.name] = step.state
                self._line(f"step     {step.name} {_step_words(step)}")
        if frame.progress and frame.progress != self._progress:
            self._progress = frame.progress
            self._line(f"progress {frame.progress}")
        if frame.share is not None and frame.elapsed >= self._share_due:
            self._share_due = frame.elapsed + _SHARE_EVERY
            self._line(f"proxy    {frame.share:.0f} % answered by new; {_requests(frame)}")
            self._line(f"items    {_items(frame)}")

    def _line(self, text: str) -> None:
        print(f"{self._elapsed:6.1f} s  {text}", flush=True)


def _headline(frame: Frame) -> Text:
    text = Text(f"{frame.elapsed:6.1f} s  ")
    text.append(frame.state or "no status yet", _STATE_STYLE.get(frame.state, "bold cyan"))
    return text.append(f"  {frame.message}")


def _phases(frame: Frame) -> Text:
    text = Text("\n")
    names = [name for name, _ in frame.phases]
    current = names.index(frame.phase) if frame.phase in names else -1
    back = frame.state in {"RollingBack", "RolledBack"}
    for index, (name, weight) in enumerate(frame.phases):
        if frame.state == "Completed" or index < current:
            mark, style = "●", "green"
        elif index == current:
            mark, style = ("✗", "bold red") if back else ("▶", "bold cyan")
        else:
            mark, style = "○", "dim"
        text.append(f"{mark} {name} {weight} %", style)
        text.append("  ")
    return text


def _weights(frame: Frame) -> Text:
    slots = frame.slots
    text = Text("\n")
    for label, percent in (
        ("weight of new, HTTPRoute", float(frame.weight or 0)),
        ("answered by new, proxy", frame.share or 0.0),
        ("slots of new, ConfigMap", 100.0 * slots.new_below / SLOTS if slots and not slots.shadow else 0.0),
        ("handled by new, workers", frame.items.share or 0.0),
    ):
        filled = round(percent / 2.5)
        text.append(f"{label:26}{percent:5.0f} % ")
        text.append("█" * filled, "cyan").append("░" * (40 - filled) + "\n", "dim")
    text.append(f"{_requests(frame)}; pods run: old {frame.old_processes}, new {frame.new_processes}\n")
    text.append(f"{_items(frame)}\n")
    if slots is not None:
        text.append(f"{_slots_words(slots)}\n", "" if slots.stage == "Settled" else "bold yellow")
    return text


def _criteria(frame: Frame) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("asked for", "metric", "limit", "reading", "old", "verdict"):
        table.add_column(title, justify="right" if title in {"reading", "old"} else "left", no_wrap=True)
    for criterion in frame.criteria:
        verdict = criterion.verdict + (f" ({criterion.why})" if criterion.why else "")
        table.add_row(
            criterion.role,
            criterion.metric,
            criterion.limit,
            _number(criterion.live),
            _number(criterion.live_old) if criterion.live_old is not None else "",
            Text(verdict, _VERDICT_STYLE.get(criterion.verdict, "")),
        )
    return table


def _steps(frame: Frame) -> Table:
    """The procedure of the rollback, each step's time against its budget."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("step of the rollback", "state", "took", "budget", "says"):
        right = title in {"took", "budget"}
        table.add_column(title, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for step in frame.steps:
        says = frame.progress if step.state == "Running" and frame.progress else step.says
        taken = "" if step.taken is None else f"{step.taken:.1f} s"
        style = _STEP_STYLE.get(step.state, "dim")
        table.add_row(step.name, Text(step.state, style), taken, f"{step.budget:.0f} s", says)
    return table


def _step_words(step: Step) -> str:
    if step.state == "Running" or step.taken is None:
        return f"{step.state}, for {step.budget:.0f} s at most"
    says = f": {step.says}" if step.says else ""
    return f"{step.state} after {step.taken:.1f} s of {step.budget:.0f} s{says}"


def _events(frame: Frame) -> Text:
    lines = frame.events[-_EVENTS:]
    return Text("\n" + "\n".join(lines) + "\n", style="dim", overflow="ellipsis", no_wrap=True)


def _criterion_words(criterion: Criterion) -> str:
    old = f", old {_number(criterion.live_old)}" if criterion.live_old is not None else ""
    why = f" ({criterion.why})" if criterion.why else ""
    unit = f" {criterion.unit}" if criterion.unit and criterion.live is not None else ""
    reading = f"{_number(criterion.live)}{unit}{old}"
    return f"{criterion.verdict}{why}: {criterion.role} {criterion.metric} {criterion.limit}; reads {reading}"


def _requests(frame: Frame) -> str:
    return f"{frame.requests} requests in all, {frame.failed} failed"


def _items(frame: Frame) -> str:
    items = frame.items
    share = "" if items.share is None else f"{items.share:.0f} % handled by new; "
    dry = f", {items.rehearsed} in dry-run" if items.rehearsed else ""
    return f"{share}items of the last {SHARE_SECONDS:.0f} s: {items.old} by old, {items.new} by new{dry}"


def _slots_words(slots: Slots) -> str:
    marks = f"new below {slots.new_below}, old from {slots.old_from}"
    modes = (", shadow" if slots.shadow else "") + (", stop" if slots.stop else "")
    waiting = f", waiting for {', '.join(slots.waiting_for)}" if slots.waiting_for else ""
    return f"{marks}{modes}; epoch {slots.epoch}, {slots.stage}{waiting}"


def _number(value: float | None) -> str:
    return "no data" if value is None else f"{value:.3g}"

"""What a run came to: a table a person can quote."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table

from demo.database import Comparison
from demo.injection import Injection
from demo.scene import Scene
from demo.story import LETTING_GO, FaultTimes, Handled, failures
from demo.traffic import share_of_new
from demo.work import some

Row = tuple[str, str]


def rows(
    scene: Scene, injection: Injection | None, times: FaultTimes, handled: Handled | None, stands: Comparison | None
) -> list[Row]:
    """Label and value, in the order of the table. Only what was measured is in it."""
    lines = [("at the end", f"{scene.state or 'no status'}: {scene.status.get('message', '')}")]
    states = scene.states()
    if states:
        lines.append(("time", f"{states[-1].when - scene.began:.1f} s from apply to {states[-1].value[0]}"))
    lines += _phase_rows(scene)
    answers = scene.answers()
    by_version = Counter(answer.version or "neither" for answer in answers)
    told = ", ".join(f"{by_version[name]} by {name}" for name in ("old", "new", "neither") if by_version[name])
    lines.append(("requests through the proxy", f"{len(answers)}: {told}" if answers else "none"))
    failed = failures(answers)
    codes = Counter(str(answer.status or "no answer") for answer in failed)
    told = " (" + ", ".join(f"{count} x {code}" for code, count in sorted(codes.items())) + ")" if failed else ""
    lines.append(("failed requests", f"{len(failed)}{told}"))
    lines += _item_rows(scene, handled)
    if injection is not None:
        lines += _fault_rows(scene, injection, times)
    lines += _step_rows(scene)
    lines.append(("database against the sheet", _database(stands)))
    return lines


def _step_rows(scene: Scene) -> list[Row]:
    """Each step of the rollback with its time against its budget."""
    lines = []
    for step in scene.steps:
        told = step.state
        if step.taken is not None and step.state != "Skipped":
            told += f" after {step.taken:.1f} s of {step.budget:.0f} s"
        lines.append((step.name, f"{told}: {step.says}" if step.says else told))
    return lines


def _database(stands: Comparison | None) -> str:
    """Row for row. What the workers handled is counted apart: new called its damage a success."""
    if stands is None:
        return "not compared: the run did not come to its end"
    if not stands.differences:
        return f"{stands.rows} rows, each of the {stands.listings} listings once and as it must be"
    return f"{len(stands.differences)} of {stands.listings} listings differ{_named(stands.differences)}"


def _phase_rows(scene: Scene) -> list[Row]:
    """The share at the proxy in each weight's time, its first second left out: requests under way straddle it."""
    weights = scene.weights()
    lines = []
    for index, moment in enumerate(weights):
        until = weights[index + 1].when if index + 1 < len(weights) else scene.clock()
        within = [a for a in scene.answers(moment.when + 1.0) if a.ended < until]
        share = share_of_new(within)
        if share is not None:
            text = f"measured {share:.1f} % of {len(within)} requests, for {until - moment.when:.1f} s"
            lines.append((f"weight {moment.value} %", text))
    return lines


def _item_rows(scene: Scene, handled: Handled | None) -> list[Row]:
    """What the workers wrote down themselves."""
    log = scene.work.assignments()
    lines = []
    for index, moment in enumerate(log):
        assignment = moment.value
        until = log[index + 1].when if index + 1 < len(log) else scene.clock()
        counts = scene.work.counts(moment.when + 1.0, until)
        if assignment.new_below == assignment.old_from and counts.share is not None:
            text = f"measured {counts.share:.1f} % of {counts.old + counts.new} items"
            if counts.rehearsed:
                text += f", and {counts.rehearsed} rehearsed"
            lines.append((f"slots below {assignment.new_below}", f"{text}, for {until - moment.when:.1f} s"))
    account = scene.work.account(scene.began)
    counts = account.counts
    told = f"{counts.old} by old, {counts.new} by new, and {counts.rehearsed} in dry-run"
    lines.append(("items handled by the workers", f"{counts.old + counts.new}: {told}"))
    of_keys = f"of {account.keys} keys"
    lines.append(("handled by both at once", f"{len(account.at_once)} {of_keys}{_named(account.at_once)}"))
    lines.append(("changed hands too often", f"{len(account.to_and_fro)} {of_keys}{_named(account.to_and_fro)}"))
    if handled is None:
        lines.append(("handled by nobody", "not known: the run did not come to its end"))
    else:
        lines.append(("handled by nobody", f"{len(handled.lost)} of {handled.keys} keys{_named(handled.lost)}"))
    lines.append(("longest wait of a key", f"{account.longest_wait:.1f} s from one turn to the next"))
    return lines


def _named(sentences: list[str]) -> str:
    return f": {some(sentences)}" if sentences else ""


def _fault_rows(scene: Scene, injection: Injection, times: FaultTimes) -> list[Row]:
    lines = [("fault", f"{injection.fault} in {injection.phase}")]
    if times.injected is None:
        return lines
    since, since_what = times.injected, "after the fault was injected"
    if times.visible is not None:
        lines.append(("fault visible", f"{times.visible - since:.2f} s {since_what}: {injection.visible}"))
        since, since_what = times.visible, "after the fault was visible"
    elif times.weight_zero is not None:
        lines.append(("fault visible", "to the operator first: it had acted before the demo looked"))
    if times.weight_zero is not None:
        lines.append(("weight 0 at the API server", f"{times.weight_zero - since:.2f} s {since_what}"))
        lines.append(("last answer by new at the proxy", _last_answer(times.last_new, times.weight_zero)))
        if times.items_back is not None:
            lines.append(("all items back at old", f"{times.items_back - since:.2f} s {since_what}"))
        hurt = [a for a in failures(scene.answers(times.injected)) if a.ended <= times.weight_zero]
        lines.append(("failed while the faulty system had traffic", str(len(hurt))))
        late = failures(scene.answers(times.weight_zero))
        at_once = sum(a.ended <= times.weight_zero + LETTING_GO for a in late)
        lines.append((f"failed in the {LETTING_GO:g} s after that", str(at_once)))
        lines.append(("failed later", str(len(late) - at_once)))
    if times.held is not None:
        lines.append(("held", f"{times.held - since:.2f} s {since_what}"))
    if times.went_on is not None and times.lifted is not None:
        lines.append(("went on", f"{times.went_on - times.lifted:.2f} s after the fault was lifted"))
    return lines


def _last_answer(last: float | None, zero: float) -> str:
    if last is None:
        return "none after the fault was injected"
    return f"{abs(last - zero):.2f} s {'after' if last > zero else 'before'} weight 0 at the API server"


def show(lines: list[Row], console: Console) -> None:
    if not console.is_terminal:
        width = max(len(label) for label, _ in lines)
        print("\nsummary")
        for label, value in lines:
            print(f"  {label:{width}}  {value}")
        return
    table = Table(title="summary", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for label, value in lines:
        table.add_row(label, value)
    console.print(table)

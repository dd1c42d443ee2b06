"""Signs of what is wrong with old or new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import MetricKind
from syncrollout.api.words import DrillResult, Side, Step, StepState, Verdict
from syncrollout.decide.phrases import moment
from syncrollout.decide.rehearsal import VERIFICATION
from syncrollout.diagnosis.facts import Container, Facts, Matched, Memory, Pod, Reading
from syncrollout.diagnosis.trend import Series, trend
from syncrollout.diagnosis.words import Sign, Source, Strength, Trouble

FEW: Final = 3
"""Lines of a log from which on they are no accident."""
TWICE: Final = 2.0
"""Times the usual that counts as slow, where the spec says nothing else."""
SOON: Final = 86_400.0
"""Seconds to a limit that are a strong sign of a leak."""
LATER: Final = 7 * SOON
YOUNG: Final = 1800.0
"""Seconds in which a process may still be warming up."""
GROWN: Final = 0.05
"""Share of the limit that memory has to have grown by, over the time that is looked at."""
GROWN_WITHOUT_LIMIT: Final = 0.2
FULL: Final = 0.9
HELD_BACK: Final = 0.25
READY_WITHIN: Final = 120.0
"""Seconds in which a pod may be getting ready."""
_LATELY: Final = 86_400.0
_BROKEN: Final = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
_OOM: Final = "OOMKilled"
_KILLED: Final = 137


def signs(facts: Facts) -> Iterator[Sign]:
    """All of them, in no order."""
    for pod in facts.pods:
        yield from _of_pod(facts, pod)
    for memory in facts.memory:
        yield from _of_memory(facts, memory)
    for side, share in facts.throttled.items():
        if share >= HELD_BACK:
            text = f"containers of {side.value.lower()} are held back for want of processor in {share:.0%} of the time"
            yield Sign(Trouble.SLOW, Strength.WEAK, Source.METRICS, text, side)
    for reading in facts.readings:
        yield from _of_reading(facts, reading)
    for logs in facts.logs:
        for matched in logs.matched:
            yield from _of_lines(facts, matched, logs.lines)
    yield from _of_criteria(facts)
    yield from _of_jobs(facts)


# ---- pods --------------------------------------------------------------------------------------------------------


def _of_pod(facts: Facts, pod: Pod) -> Iterator[Sign]:
    for container in pod.containers:
        yield from _of_container(facts, pod, container)
    if pod.failed:
        # It takes no part any more: another pod has its place.
        if facts.now - pod.made <= max(facts.look_back, _LATELY):
            text = f"pod {pod.name} has failed: {pod.failed}"
            yield Sign(Trouble.PODS, Strength.STRONG, Source.PODS, text, pod.side)
        return
    young = facts.now - pod.made < READY_WITHIN
    broken = any(container.waiting in _BROKEN for container in pod.containers)
    if pod.ready or young or broken:
        return
    if not pod.scheduled:
        text = f"pod {pod.name} has no node: {pod.message or 'the scheduler does not say why'}"
    else:
        text = f"pod {pod.name} is not ready"
    yield Sign(Trouble.PODS, Strength.PROOF, Source.PODS, text, pod.side)


def _of_container(facts: Facts, pod: Pod, container: Container) -> Iterator[Sign]:
    where = f"container {container.name} of pod {pod.name}"
    recent = container.ended_at is not None and facts.now - container.ended_at <= max(facts.look_back, _LATELY)
    at = f" at {moment(container.ended_at)}" if container.ended_at is not None else ""
    if container.ended == _OOM:
        text = f"{where} was killed for want of memory{at} ({_restarts(container)})"
        yield Sign(Trouble.MEMORY, Strength.PROOF if recent else Strength.WEAK, Source.PODS, text, pod.side)
    elif container.exit_code == _KILLED and recent and container.restarts:
        text = f"{where} was killed{at} (exit code 137, {_restarts(container)}), which may have been for want of memory"
        yield Sign(Trouble.MEMORY, Strength.WEAK, Source.PODS, text, pod.side)
    if container.waiting in _BROKEN:
        ended = f", it ended last with {_how(container)}" if container.ended or container.exit_code is not None else ""
        text = f"{where} does not run: {container.waiting} ({_restarts(container)}{ended})"
        yield Sign(Trouble.PODS, Strength.PROOF, Source.PODS, text, pod.side)
    elif container.restarts >= FEW and recent:
        text = f"{where} was restarted {container.restarts} times, last{at} with {_how(container)}"
        yield Sign(Trouble.PODS, Strength.STRONG, Source.PODS, text, pod.side)


def _restarts(container: Container) -> str:
    return "1 restart" if container.restarts == 1 else f"{container.restarts} restarts"


def _how(container: Container) -> str:
    code = f"exit code {container.exit_code}" if container.exit_code is not None else ""
    return ", ".join(filter(None, (container.ended, code))) or "no word"


# ---- memory ------------------------------------------------------------------------------------------------------


def _of_memory(facts: Facts, memory: Memory) -> Iterator[Sign]:
    limit = next((pod.limit for pod in facts.pods if pod.name == memory.pod), None)
    if limit and memory.series and memory.series[-1][1] >= FULL * limit:
        text = f"pod {memory.pod} uses {mebibytes(memory.series[-1][1])} of {mebibytes(limit)}"
        yield Sign(Trouble.MEMORY, Strength.WEAK, Source.METRICS, text, memory.side)
    line = trend(memory.series)
    if line is None or not line.climbs or not line.steady:
        return
    grown = line.slope * line.span
    hour = f"{mebibytes(line.slope * 3600)} an hour ({mebibytes(line.least * 3600)} to {mebibytes(line.most * 3600)})"
    text = f"memory of pod {memory.pod} climbs {hour} over the last {format_duration(line.span)}"
    if limit is None:
        if grown >= GROWN_WITHOUT_LIMIT * line.now:
            text += f", to {mebibytes(line.now)}; it has no limit"
            yield Sign(Trouble.MEMORY, Strength.WEAK, Source.METRICS, text, memory.side)
        return
    left = line.reaches(limit)
    if left is None or left > LATER or grown < GROWN * limit:
        return
    strong = left <= SOON and line.span >= YOUNG
    text += f", to {mebibytes(line.now)} of {mebibytes(limit)}: at its limit in {format_duration(left)}"
    yield Sign(Trouble.MEMORY, Strength.STRONG if strong else Strength.WEAK, Source.METRICS, text, memory.side)


def mebibytes(number: float) -> str:
    """Bytes as a person reads them."""
    return f"{number / 1024**3:.1f} GiB" if abs(number) >= 1024**3 else f"{number / 1024**2:.3g} MiB"


# ---- metrics -----------------------------------------------------------------------------------------------------


def _of_reading(facts: Facts, reading: Reading) -> Iterator[Sign]:
    name = reading.told.metric
    new, old, how = _now(reading.new), _now(reading.old), ""
    if new is None:
        judged = next(
            (each for each in facts.status.criteria if each.metric == name and each.reading is not None), None
        )
        if judged is not None:
            new, old, how = judged.reading, old if old is not None else judged.baseline, ", by the status"
    trouble = Trouble(reading.told.tells.value.lower())
    strength = Strength.STRONG if reading.given else Strength.WEAK
    for side, value in ((Side.NEW, new), (Side.OLD, old)):
        if value is not None and _past(reading, value):
            text = f"{name} of {side.value.lower()} reads {_number(value, reading.unit)}{how}, {_limit(reading)}"
            yield Sign(trouble, strength, Source.METRICS, text, side)
    if reading.told.above is not None or reading.told.below is not None:
        return
    times = reading.told.times_old or TWICE
    if new is not None and old is not None and old > 0 and new >= times * old:
        text = f"{name} of new reads {_number(new, reading.unit)}{how}, {new / old:.3g} times what old does"
        yield Sign(trouble, Strength.STRONG, Source.METRICS, text, Side.NEW)
    for side, series in ((Side.NEW, reading.new), (Side.OLD, reading.old)):
        usual, value = _before(series), _now(series)
        if usual and value is not None and value >= times * usual > 0:
            text = f"{name} of {side.value.lower()} reads {_number(value, reading.unit)}, and before {usual:.4g}"
            yield Sign(trouble, Strength.WEAK, Source.METRICS, text, side)


def _past(reading: Reading, value: float) -> bool:
    told = reading.told
    return (told.above is not None and value > told.above) or (told.below is not None and value < told.below)


def _limit(reading: Reading) -> str:
    told = reading.told
    return f"above {told.above:g}" if told.above is not None else f"below {told.below or 0:g}"


def _number(value: float, unit: str) -> str:
    return f"{value:.4g} {unit}".rstrip()


def _now(series: Series) -> float | None:
    """The median of the last tenth: one outlier is none."""
    return median(value for _, value in series[-max(1, len(series) // 10) :]) if series else None


def _before(series: Series) -> float | None:
    half: Sequence[tuple[float, float]] = series[: len(series) // 2]
    return median(value for _, value in half) if len(half) >= FEW else None


# ---- words -------------------------------------------------------------------------------------------------------


def _of_lines(facts: Facts, matched: Matched, lines: int) -> Iterator[Sign]:
    if not matched.strong and matched.lines < FEW:
        return
    strong = matched.strong and matched.lines >= FEW
    whose = f"{matched.lines} of {lines} lines of {matched.side.value.lower()}'s logs"
    shares = _share(matched.lines, lines)
    other = Side.OLD if matched.side is Side.NEW else Side.NEW
    beside = [logs for logs in facts.logs if logs.side is other and logs.lines]
    if beside:
        same = sum(each.lines for logs in beside for each in logs.matched if each.what == matched.what)
        shares += f", of {other.value.lower()}'s {_share(same, sum(logs.lines for logs in beside))}"
    whose += f" ({shares})"
    text = f"{whose}: {matched.what}, such as: {matched.sample}"
    yield Sign(matched.trouble, Strength.STRONG if strong else Strength.WEAK, Source.LOGS, text, matched.side)


def _share(lines: int, of: int) -> str:
    return f"{100 * lines / of:.3g} %"


def _of_criteria(facts: Facts) -> Iterator[Sign]:
    """What is judged of the business, where the spec does not say what it tells of."""
    told = {reading.told.metric for reading in facts.readings if reading.given}
    business = {each.name for each in facts.spec.metrics if each.kind is MetricKind.BUSINESS} - told
    for each in facts.status.criteria:
        if each.metric in business and each.verdict is Verdict.FAIL:
            yield Sign(Trouble.INCONSISTENT, Strength.WEAK, Source.STATUS, each.message, Side.NEW)


def _of_jobs(facts: Facts) -> Iterator[Sign]:
    """Jobs that verify the data: of the rollback, and of the last drill."""
    back, drill = facts.status.rollback, facts.status.drill
    steps = {step.name: step for step in back.steps} if back is not None else {}
    again = steps.get(Step.VERIFY_AGAIN)
    mended = again is not None and again.state is StepState.SUCCEEDED
    for step in (steps.get(Step.VERIFY_DATA), again):
        if step is not None and step.state is StepState.FAILED and step.exit_code and not mended:
            yield Sign(Trouble.INCONSISTENT, Strength.STRONG, Source.JOBS, step.message, Side.NEW)
    last = drill.last if drill is not None else None
    for check in last.checks if last is not None else ():
        ran = not check.message.startswith("not run")
        if check.name == VERIFICATION and check.result is DrillResult.FAILED and ran:
            text = f"the last drill's verification of the data: {check.message}"
            yield Sign(Trouble.INCONSISTENT, Strength.STRONG, Source.JOBS, text, Side.NEW)


__all__ = ["mebibytes", "signs"]

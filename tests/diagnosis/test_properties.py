"""What holds of every diagnosis, whatever was gathered."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagnosis.made import MIB, NOW, facts, line, status
from syncrollout.api.spec import Sign as Told
from syncrollout.api.words import Reason, Side
from syncrollout.cli.plugin import app
from syncrollout.diagnosis.facts import Container, Facts, Gap, Lease, Logs, Matched, Memory, Pod, Reading, Route
from syncrollout.diagnosis.find import diagnose
from syncrollout.diagnosis.words import Certainty, Trouble

FEW = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Facts are large, and machines are busy."""
VERBS = {
    command.name or command.callback.__name__.replace("_", "-")
    for command in app.registered_commands
    if command.callback is not None
}
RANK = {None: 0, Certainty.POSSIBLE: 1, Certainty.LIKELY: 2, Certainty.CERTAIN: 3}
SIDES = st.sampled_from(Side)
AGES = st.none() | st.floats(0, 1e6).map(lambda age: NOW - age)
CONTAINERS = st.builds(
    Container,
    name=st.just("app"),
    restarts=st.integers(0, 9),
    waiting=st.sampled_from(["", "CrashLoopBackOff", "ContainerCreating", "ImagePullBackOff"]),
    ended=st.sampled_from(["", "OOMKilled", "Error", "Completed"]),
    exit_code=st.none() | st.sampled_from([0, 1, 137, 143]),
    ended_at=AGES,
    started=AGES,
    limit=st.none() | st.just(512 * MIB),
)
PODS = st.builds(
    Pod,
    name=st.sampled_from(["a", "b", "c"]),
    side=SIDES,
    ready=st.booleans(),
    containers=st.lists(CONTAINERS, max_size=2).map(tuple),
    made=st.floats(0, 1e6).map(lambda age: NOW - age),
    scheduled=st.booleans(),
)
LINES = st.floats(0, 600 * MIB)
MEMORY = st.builds(Memory, pod=st.sampled_from(["a", "b"]), side=SIDES, series=st.builds(line, LINES, LINES))
VALUES = st.floats(0, 100)
READINGS = st.builds(
    Reading,
    told=st.sampled_from(
        [Told(metric="duration", tells="Slow"), Told(metric="duration", tells="Auth", above=5)]  # type: ignore[arg-type]
    ),
    unit=st.just("seconds"),
    new=st.just(()) | st.builds(line, VALUES, VALUES),
    old=st.just(()) | st.builds(line, VALUES, VALUES),
    given=st.booleans(),
)


@st.composite
def matches(draw: Any) -> Logs:
    side, trouble = draw(SIDES), draw(st.sampled_from(Trouble))
    return Logs(side, 100, (Matched(side, trouble, "what", draw(st.booleans()), draw(st.integers(1, 9)), "line"),))


@st.composite
def gathered(draw: Any) -> Facts:
    renewed = draw(AGES)
    return facts(
        pods=tuple(draw(st.lists(PODS, max_size=4))),
        memory=tuple(draw(st.lists(MEMORY, max_size=2))),
        readings=tuple(draw(st.lists(READINGS, max_size=2))),
        logs=tuple(draw(st.lists(matches(), max_size=3))),
        throttled=draw(st.dictionaries(SIDES, st.floats(0, 1))),
        routes=(Route("HTTPRoute web", ("refused",), draw(st.booleans())),) if draw(st.booleans()) else (),
        lease=draw(st.none() | st.just(Lease("a/b", draw(st.sampled_from(["", "me"])), 15.0, renewed, draw(AGES)))),
        status=status(reason=draw(st.sampled_from(Reason)).value),
        gaps=(Gap("logs", "no right", frozenset(draw(st.sets(st.sampled_from(Trouble))))),),
    )


@FEW
@given(gathered(), st.sets(st.sampled_from(Trouble), min_size=1))
def test_every_trouble_is_found_or_not_and_every_finding_can_be_acted_on(some: Facts, wanted: set[Trouble]) -> None:
    diagnosis = diagnose(some, wanted)
    found = [each.trouble for each in diagnosis.findings]
    assert sorted([*found, *diagnosis.clear]) == sorted(wanted)
    ranks = [RANK[each.certainty] for each in diagnosis.findings]
    assert ranks == sorted(ranks, reverse=True)
    assert set(diagnosis.blind) <= set(diagnosis.clear)
    for each in diagnosis.findings:
        assert each.signs
        assert each.actions
        assert each.call
        assert each.page
        for action in each.actions:
            words = shlex.split(action.command)
            assert not words or words[0] in ("kubectl", "curl")
            assert words[1:2] != ["syncrollout"] or words[2] in VERBS


@FEW
@given(gathered(), matches())
def test_another_line_of_a_log_never_makes_less_sure(some: Facts, more: Logs) -> None:
    before = {each.trouble: each.certainty for each in diagnose(some).findings}
    after = {each.trouble: each.certainty for each in diagnose(replace(some, logs=(*some.logs, more))).findings}
    assert all(RANK[after.get(trouble)] >= RANK[certainty] for trouble, certainty in before.items())


@FEW
@given(gathered())
def test_the_same_facts_give_the_same_diagnosis(some: Facts) -> None:
    assert diagnose(some) == diagnose(some)

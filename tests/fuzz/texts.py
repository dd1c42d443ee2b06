"""Texts that people and programs write: files of slots, templates, freezes, reports, logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from syncrollout import freeze_list
from syncrollout.act import assignment as operators
from syncrollout.cli import mistakes
from syncrollout.decide import reported
from syncrollout.decide.facts import Problem
from syncrollout.messages.limited import LONGEST_TEMPLATE, LONGEST_TEXT, TextInvalid, filled_in
from syncrollout.observe import masks, progress
from syncrollout.shards.assignment import SLOTS, Assignment, BadAssignment, Side

MIGRATION = operators.Migration("sync", "Deployment/sync-v1", "Deployment/sync-v2")
PLANTED = "hunter2hunter2"
FACTS: dict[str, Any] = {
    "name": "listing-sync",
    "weight": 10,
    "phase": "2/5 small-traffic",
    "alarming": True,
    "results": [{"metric": "errors", "reading": "1.5 %"}, {"metric": "latency", "reading": ""}],
    "many": [{"n": str(number)} for number in range(200)],
    "long": "x" * 2000,
}


def assignments() -> Iterator[bytes]:
    """Assignments as the operator writes them, and as somebody may have left them."""
    for fields in ({}, {"mode": "shadow"}, {"stop": True}, {"newBelow": 400, "oldFrom": 300}, {"protocol": 2}):
        whole = {"protocol": 1, "epoch": 7, "newBelow": 100, "oldFrom": 300, "mode": "live", "stop": False}
        yield json.dumps(whole | fields).encode()
    yield b'{"protocol":1,"epoch":1,"epoch":2}'


def try_assignment(data: bytes) -> None:
    """The file that workers mount: the client and the operator read it alike, and no slot has two owners."""
    text = data.decode(errors="replace")
    annotations = MIGRATION.annotations
    config_map = {
        "metadata": {"name": "slots", "namespace": "default", "uid": "1", "annotations": annotations},
        "data": {operators.DATA_KEY: text},
    }
    seen = operators.read(config_map, MIGRATION)
    try:
        read = Assignment.parse(text)
    except BadAssignment:
        assert isinstance(seen, Problem) or len(text) > 4096, "workers refuse what the operator goes by"
        return
    assert not isinstance(seen, Problem), f"workers go by what the operator refuses: {seen}"
    assert (read.epoch, read.new_below, read.old_from, read.stop) == (
        seen.epoch,
        seen.new_below,
        seen.old_from,
        seen.stop,
    )
    assert read.rehearses(Side.NEW) == (seen.shadow and not seen.stop)
    assert Assignment.parse(read.dump()) == read
    for number in {0, read.new_below - 1, read.new_below, read.old_from - 1, read.old_from, SLOTS - 1} & set(
        range(SLOTS)
    ):
        assert sum(read.owns_slot(number, side) for side in Side) <= 1


def templates() -> Iterator[bytes]:
    """What the language has, and what it is kept from having."""
    for text in (
        "{{ name }} {% if weight > 5 and not alarming %}a{% else %}b{% endif %}",
        "{% for r in results %}{{ loop.index }}{{ r.metric | upper }}{{ r.reading | default('?', true) }}{% endfor %}",
        "{% for a in many %}{% for b in many %}{{ a.n ~ b.n }}{% endfor %}{% endfor %}",
        "{{ results[1].reading | default('none', true) | trim | length }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ name * 9999999 }}{{ 9 ** 999 }}",
        "{{ many | join(long) }}",
        "{{ ((((((((1)))))))) }}{# #}{% raw %}{{ {% endraw %}",
        "{% set a = 1 %}{% macro m() %}{% endmacro %}{{ m() }}",
    ):
        yield text.encode()


def try_template(data: bytes) -> None:
    """A template is filled in within bounds, or refused in words."""
    source = data.decode(errors="replace")
    try:
        text = filled_in(source, FACTS)
    except TextInvalid:
        return
    assert len(source) <= LONGEST_TEMPLATE
    assert len(text) <= LONGEST_TEXT
    assert "object at 0x" not in text
    assert "<class" not in text.replace(source, "")


def freezes() -> Iterator[bytes]:
    """Lists of freezes, and YAML that is none."""
    yield b"- from: 2026-12-28\n  to: 2027-01-03\n  reason: year end\n"
    yield b"- {from: 2026-12-28T18:00, to: 2026-12-28T20:00, reason: sale}\n- {from: x}\n"
    yield b"&a [*a, *a]"
    yield b"a: b"


def try_freezes(data: bytes) -> None:
    """The value of a shared ConfigMap."""
    found = freeze_list.read(data.decode(errors="replace"))
    if isinstance(found, str):
        assert found
        assert "\n" not in found
    else:
        assert len(found) <= freeze_list.MOST


def reports() -> Iterator[bytes]:
    """Values of annotations."""
    yield b"critical by kim: customers see listings twice"
    yield b"low: a: b: c"
    yield b"high by : x\nby y: z"


def try_report(data: bytes) -> None:
    """What a person reports: taken in on one line, and written again it says the same."""
    said = reported.parse(data.decode(errors="replace"))
    if isinstance(said, str):
        assert said
        return
    assert "\n" not in said.message + said.by
    again = reported.parse(reported.written(said.severity, said.by, said.message))
    assert not isinstance(again, str), again
    assert (again.severity, again.message) == (said.severity, said.message)


def logs() -> Iterator[bytes]:
    """Lines that programs print, with what they should not."""
    for line in (
        f"progress: 10 of 20, password={PLANTED} ok",
        f"Authorization: Bearer {PLANTED}",
        f"connect postgres://user:{PLANTED}@db/x",
        f'{{"api_key": "{PLANTED}", "n": 1}}',
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
    ):
        yield line.encode()


def try_log(data: bytes) -> None:
    """What is kept of a log: bounded, printable, and what follows a word for a secret is not in it."""
    text = data.decode(errors="replace")
    line = progress.line(text)
    assert len(line) <= progress.LONGEST
    assert line.isprintable()
    own = "".join(each for each in text if each not in PLANTED)
    kept = masks.masked(f"{own} password={PLANTED} {own}")
    assert PLANTED not in kept, kept


def files() -> Iterator[bytes]:
    """Files that `validate` is given."""
    yield b"apiVersion: syncrollout.io/v1alpha1\nkind: SyncRollout\nmetadata: {name: a}\nspec: {old: &a {}, new: *a}\n"
    yield b"kind: SyncRolloutList\nitems: [{kind: SyncRollout, spec: 1}]\n---\n- 1\n"
    yield b"kind: SyncRollout\n? [a, b]\n: 1\n<<: {x: 1}\nspec: !!python/object:os.system {}\n"
    yield b'{"kind":"SyncRollout","kind":1,"spec":{"phases":[1e999,-0,{}]}}'


def try_file(data: bytes) -> None:
    """Whatever stands in a file, each mistake is told with its line."""
    text = data.decode(errors="replace")
    for mistake in mistakes.check(text, "fuzz.yaml").mistakes:
        assert mistake.text
        assert mistake.where.startswith("fuzz.yaml:")


__all__ = [
    "assignments",
    "files",
    "freezes",
    "logs",
    "reports",
    "templates",
    "try_assignment",
    "try_file",
    "try_freezes",
    "try_log",
    "try_report",
    "try_template",
]

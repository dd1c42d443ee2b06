"""Reading an assignment, and finding a key's slot."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncrollout.shards import SLOTS, Assignment, BadAssignment, Mode, Side, slot

ROOT = Path(__file__).parents[2]
GOOD = '{"protocol":1,"epoch":7,"newBelow":100,"oldFrom":150,"mode":"live","stop":false}'
VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))


def but(**changes: object) -> str:
    """The good one, with these fields changed; None leaves one out."""
    raw = {**json.loads(GOOD), **changes}
    return json.dumps({name: value for name, value in raw.items() if value is not None})


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: ascii(vector["key"]))
def test_vectors(vector: dict[str, Any]) -> None:
    assert slot(vector["key"] * vector.get("times", 1)) == vector["slot"]


def test_the_document_shows_the_very_vectors_that_are_tested() -> None:
    text = (ROOT / "docs" / "shard-protocol.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\".*\")`(?: times (\d+))? \| (\d+) \|$", text, re.MULTILINE)
    shown = [(json.loads(key), int(times or 1), int(number)) for key, times, number in rows]
    assert shown == [(vector["key"], vector.get("times", 1), vector["slot"]) for vector in VECTORS]
    assert len(shown) >= 20


def test_the_document_s_assignments_are_assignments() -> None:
    text = (ROOT / "docs" / "shard-protocol.md").read_text(encoding="utf-8")
    shown = re.findall(r'\{"protocol":.*?\}', text)
    assert len(shown) >= 3
    for each in shown:
        assert Assignment.parse(each).dump() == each


@given(st.text())
def test_any_text_has_a_slot_that_follows_from_its_utf8_alone(key: str) -> None:
    digest = hashlib.sha256(key.encode()).digest()
    assert slot(key) == (digest[0] * 2**24 + digest[1] * 2**16 + digest[2] * 2**8 + digest[3]) % 1000


def test_keys_spread_evenly_over_the_slots() -> None:
    tenth = sum(slot(f"listing-{number}") < SLOTS // 10 for number in range(20_000))
    assert 1_850 < tenth < 2_150


def test_a_key_that_is_no_text_has_no_slot() -> None:
    with pytest.raises(ValueError, match="has no slot"):
        slot("\ud800")


def test_everything_that_an_assignment_says() -> None:
    read = Assignment.parse(GOOD)
    assert read == Assignment(epoch=7, new_below=100, old_from=150, mode=Mode.LIVE, stop=False)
    assert read.dump() == GOOD


@given(
    st.builds(
        lambda epoch, marks, mode, stop: Assignment(epoch, min(marks), max(marks), mode, stop),
        st.integers(1, 2**53),
        st.tuples(st.integers(0, SLOTS), st.integers(0, SLOTS)),
        st.sampled_from(Mode),
        st.booleans(),
    ),
    st.integers(0, SLOTS - 1),
)
def test_what_is_written_is_read_and_no_slot_ever_has_two_owners(written: Assignment, number: int) -> None:
    assert Assignment.parse(written.dump()) == written
    owners = [side for side in Side if written.owns_slot(number, side)]
    assert len(owners) <= 1
    if written.mode is Mode.SHADOW or written.stop:
        assert Side.NEW not in owners
    elif written.new_below == written.old_from:
        assert len(owners) == 1


def test_who_owns_a_key() -> None:
    low, middle, high = "483", next(k for k in map(str, range(9999)) if slot(k) == 120), "150"
    live = Assignment.parse(GOOD)
    assert [live.owner(key) for key in (low, middle, high)] == [Side.NEW, None, Side.OLD]
    assert live.owns(low, "new")
    assert not live.owns(low, "old")
    stopped = Assignment.parse(but(stop=True))
    assert [stopped.owner(key) for key in (low, middle, high)] == [None, None, Side.OLD]
    shadow = Assignment.parse(but(mode="shadow", newBelow=0, oldFrom=0))
    assert [shadow.owner(key) for key in (low, middle, high)] == [Side.OLD] * 3
    assert shadow.rehearses("new")
    assert not shadow.rehearses("old")
    assert not Assignment.parse(but(mode="shadow", stop=True)).rehearses("new")


BAD = [
    ("", "not JSON"),
    ("{", "not JSON"),
    ("[" * 4000, "not JSON"),
    ("[]", "not a JSON object"),
    ("7", "not a JSON object"),
    ("null", "not a JSON object"),
    (but(protocol=2), "protocol of the assignment is 2, this client understands 1"),
    (but(protocol=None), "protocol of the assignment is missing"),
    (but(protocol=True), "protocol of the assignment is true"),
    (but(protocol=1.0), "protocol of the assignment is 1.0"),
    (but(epoch=0), "epoch of the assignment is 0, not a whole number from 1"),
    (but(epoch=2**53 + 1), "epoch"),
    (but(epoch="7"), 'epoch of the assignment is "7"'),
    (but(epoch=True), "epoch of the assignment is true"),
    (but(newBelow=-1), "newBelow of the assignment is -1"),
    (but(newBelow=1.5), "newBelow of the assignment is 1.5"),
    (but(oldFrom=1001), "oldFrom of the assignment is 1001"),
    (but(oldFrom=None), "oldFrom of the assignment is missing"),
    (but(newBelow=151), "slots 150 to 150 of the assignment would have two owners"),
    (but(mode="dry"), 'mode of the assignment is "dry", neither live nor shadow'),
    (but(mode=["live"]), "mode"),
    (but(mode=None), "mode of the assignment is missing"),
    (but(stop=0), "stop of the assignment is 0, neither true nor false"),
    (but(stop=None), "stop"),
    (GOOD[:-1] + ',"epoch":8}', "has a field twice"),
    (GOOD + " " * 5000, "more than 4096 characters"),
    (but(epoch=7).replace("7", "7" * 4000), "epoch of the assignment is 777"),
    (but(epoch=7).replace("7", "7" * 4100), "more than 4096 characters"),
    (but(epoch=7).replace("7", "NaN"), "epoch"),
]


@pytest.mark.parametrize(("text", "why"), BAD)
def test_anything_else_is_refused_with_a_sentence(text: str, why: str) -> None:
    with pytest.raises(BadAssignment, match=re.escape(why)) as raised:
        Assignment.parse(text)
    assert len(str(raised.value)) < 250


def test_a_field_that_is_not_known_changes_nothing() -> None:
    assert Assignment.parse(but(note="for people")) == Assignment.parse(GOOD)


def test_load_reads_a_file_and_says_which_one_is_bad(tmp_path: Path) -> None:
    file = tmp_path / "SYNCROLLOUT_SHARDS"
    with pytest.raises(FileNotFoundError):
        Assignment.load(file)
    file.write_text(GOOD + "\n", encoding="utf-8")
    assert Assignment.load(file) == Assignment.load(str(file)) == Assignment.parse(GOOD)
    for bad, why in ((b"\xff", "not UTF-8"), (b" " * 5000, "more than 4096 bytes"), (b"", "not JSON")):
        file.write_bytes(bad)
        with pytest.raises(BadAssignment, match=f"{re.escape(str(file))}.*{why}"):
            Assignment.load(file)


def test_from_env_reads_the_variable_of_env_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYNCROLLOUT_SHARDS", raising=False)
    with pytest.raises(BadAssignment, match="SYNCROLLOUT_SHARDS is not set"):
        Assignment.from_env()
    monkeypatch.setenv("SYNCROLLOUT_SHARDS", GOOD)
    assert Assignment.from_env() == Assignment.parse(GOOD)
    with pytest.raises(BadAssignment, match=r"the variable SYNCROLLOUT_SHARDS: .*not JSON"):
        Assignment.from_env({"SYNCROLLOUT_SHARDS": "?"})

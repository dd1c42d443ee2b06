"""What the operator writes into the ConfigMap is what the workers' client reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncrollout.act import assignment as written
from syncrollout.decide.facts import Assignment
from syncrollout.shards import SLOTS, Mode
from syncrollout.shards import Assignment as Read
from syncrollout.shards import assignment as client


@given(st.integers(1, 2**53), st.tuples(st.integers(0, SLOTS), st.integers(0, SLOTS)), st.booleans(), st.booleans())
def test_both_mean_the_same(epoch: int, marks: tuple[int, int], shadow: bool, stop: bool) -> None:
    text = written.text(Assignment(epoch, min(marks), max(marks), shadow, stop))
    read = Read.parse(text)
    assert read == Read(epoch, min(marks), max(marks), Mode.SHADOW if shadow else Mode.LIVE, stop)
    assert read.dump() == text


def test_under_the_same_name_and_numbers() -> None:
    assert (client.NAME, client.PROTOCOL, client.SLOTS) == (written.DATA_KEY, written.PROTOCOL, written.SLOTS)

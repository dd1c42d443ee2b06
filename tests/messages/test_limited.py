"""Templates of people: what they may use, and that none can reach anything, run for long or grow without end."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncrollout.messages.limited import LONGEST_TEXT, MOST_TURNS, TextInvalid, filled_in

FACTS: dict[str, Any] = {
    "name": "listing-sync",
    "weight": 10,
    "items": "a field, and no method",
    "results": [{"metric": "errors", "reading": ""}, {"metric": "latency", "reading": "3 s"}],
    "many": [{"n": str(n)} for n in range(100)],
    "long": "x" * 1000,
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ name }} has {{ weight }} %", "listing-sync has 10 %"),
        ("{% if weight > 5 and name %}yes{% else %}no{% endif %}", "yes"),
        ("{% for r in results %}{{ loop.index }}:{{ r.metric }} {% endfor %}", "1:errors 2:latency "),
        ("{{ results[1].reading | default('none', true) | upper }}", "3 S"),
        ("{{ results[0].reading | default('none', true) }}", "none"),
        ("{{ 'big' if weight >= 50 else 'small' }}", "small"),
        ("{{ items }}", "a field, and no method"),
        ("{{ name ~ ': ' ~ weight }}", "listing-sync: 10"),
        ("{% if name in ['a', 'listing-sync'] and weight is even %}yes{% endif %}", "yes"),
        ("{{ ['a', 'b'] | join(', ') }}", "a, b"),
        ("{{ 'a' ~ ('b' | upper) ~ 1 }}", "aB1"),
        ("{{ results | length }} {# not said #}", "2 "),
        ("【{{ name }}】開始", "【listing-sync】開始"),
    ],
)
def test_what_a_message_needs_is_there(source: str, text: str) -> None:
    assert filled_in(source, FACTS) == text


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ name", "line 1"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ results[0].nothing }}", "nothing"),
        ("{{ name.__class__ }}", "unsafe"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ name.upper() }}", "a call cannot be used"),
        ("{{ range(10) }}", "a call cannot be used"),
        ("{% set x = 1 %}", "set cannot be used"),
        ("{% macro m() %}{% endmacro %}", "macro cannot be used"),
        ("{% include 'x' %}", "include cannot be used"),
        ("{% import 'x' as y %}", "import cannot be used"),
        ("{% extends 'x' %}", "extends cannot be used"),
        ("{% with x = 1 %}{% endwith %}", "with cannot be used"),
        ("{{ 'x' * 1000000000 }}", "* cannot be used"),
        ("{{ 9 ** 9 ** 9 }}", "** cannot be used"),
        ("{{ '%1000000000d' % 1 }}", "cannot be used"),
        ("{{ name | center(1000000000) }}", "no filter center"),
        ("{{ name | replace('l', long) }}", "no filter replace"),
        ("{% for c in long %}{% endfor %}", "over a list"),
        ("{% for a in results recursive %}{{ loop(results) }}{% endfor %}", "cannot be"),
        ("{% for a in many %}{% for b in many %}{% endfor %}{% endfor %}", f"more than {MOST_TURNS} turns"),
        ("{% for a in many %}{{ long }}{% endfor %}", f"longer than {LONGEST_TEXT}"),
        ("x" * 20_000, "the template is longer"),
        ("{% if weight" + " < weight" * 1000 + " %}{% endif %}", "more than 1000 pieces"),
        ("{{ weight > name }}", "not supported"),
        ("{% if '%300000000d' is odd %}{% endif %}", "only numbers"),
        ("{{ (long ~ long) | join(long) }}", f"longer than {LONGEST_TEXT}"),
        ("{% if " + " ~ ".join(["long"] * 20) + " %}{% endif %}", f"longer than {LONGEST_TEXT}"),
        ("{% for a in [[long, long]] %}{% for b in [[a, a]] %}{{ b }}{% endfor %}{% endfor %}", "nothing but texts"),
        ("{% for a in (long, long) %}{% endfor %}", "nothing but texts"),
        ("{% for a in results %}" * 25 + "{% endfor %}" * 25, "nested too deep"),
        ("{{ name" + " | lower" * 300 + " }}", "nested too deep"),
        ("{% for a in many %}{% for b in [1, 2] %}" + "{% if a %}{% endif %}" * 400 + "{% endfor %}" * 2, "too long"),
        ("{% for a in many %}" + "{% if 'y' in long %}{% endif %}" * 150 + "{% endfor %}", "too long"),
    ],
)
def test_what_it_does_not_need_is_refused_in_words(source: str, why: str) -> None:
    with pytest.raises(TextInvalid, match=None) as refused:
        filled_in(source, FACTS)
    assert why in str(refused.value)


_WORDS = "{{ }} {% %} endfor if endif a name | join(long) . [ ] ( ) ~ * 'x' loop.index length not results {# #} _"
_PIECES = st.sampled_from(["for a in many", "set x =", "__class__", *_WORDS.split(" ")])


@settings(max_examples=400, deadline=None)
@given(st.lists(_PIECES, max_size=25).map(" ".join))
def test_any_text_whatever_is_filled_in_or_refused(source: str) -> None:
    text = ""
    with contextlib.suppress(TextInvalid):
        text = filled_in(source, FACTS)
    assert len(text) <= LONGEST_TEXT

"""The path language of weightAt: what it reads, where it leads, and what it says when it cannot be read."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncrollout.act.paths import ABSENT, Key, PathError, Word, expand, explain, parse, pointer

NAMES = {"old": "sync-v1", "new": "sync-v2", "namespace": "shop"}
ROUTE: dict[str, Any] = {
    "metadata": {
        "name": "sync",
        "annotations": {"a.b/c": 7, "k~": 1, "x/one": '{"n": [{"to": "sync-v2", "w": 3}]}', "x/two": "{", "x/three": 5},
    },
    "spec": {
        "weights": {"sync-v1": 90},
        "rules": [
            {"backends": [{"name": "sync-v1", "weight": 90}, {"name": "sync-v2", "weight": 10}]},
            {"backends": [{"name": "other"}]},
            {"backends": [{"name": "sync-v2"}, {"name": "sync-v1", "weight": 1}]},
        ],
        "http": [{"route": [{"destination": {"host": "sync-v2.shop.svc", "port": 80}, "weight": 5}]}],
        "flags": [{"on": True, "level": 1}, {"on": False, "level": 2}],
    },
}


def where(path: str) -> list[tuple[str, object]]:
    return [(match.place, match.value) for match in expand(parse(path), ROUTE, NAMES)]


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("metadata.name", [("/metadata/name", "sync")]),
        ('metadata.annotations["a.b/c"]', [("/metadata/annotations/a.b~1c", 7)]),
        ('metadata.annotations."a.b/c"', [("/metadata/annotations/a.b~1c", 7)]),
        ('metadata.annotations["k~"]', [("/metadata/annotations/k~0", 1)]),
        (
            "spec.rules[*].backends[name=$new].weight",
            [("/spec/rules/0/backends/1/weight", 10), ("/spec/rules/2/backends/0/weight", ABSENT)],
        ),
        ("spec.http[*].route[destination.host=$new.shop.svc].weight", [("/spec/http/0/route/0/weight", 5)]),
        ("spec.http[*].route[destination.port=80].weight", [("/spec/http/0/route/0/weight", 5)]),
        ('spec.http[*].route[destination.port="80"].weight', []),
        ("spec.flags[on=true].level", [("/spec/flags/0/level", 1)]),
        ("spec.weights.$old", [("/spec/weights/sync-v1", 90)]),
        ('spec.weights["$old"]', [("/spec/weights/sync-v1", 90)]),
        ("spec.weights.$new", []),  # the key is what identifies the entry: an absent one is not the entry
        ("spec.canaryWeight", [("/spec/canaryWeight", ABSENT)]),
        ("spec.canary.weight", []),
        ("spec[canary=yes].weight", []),
        ("metadata[name=sync].label", [("/metadata/label", ABSENT)]),  # of an object: itself
        ("spec.http[*].route[destination.host~=$new].weight", [("/spec/http/0/route/0/weight", 5)]),
        ("spec.http[*].route[destination.host~=$old].weight", []),
        (
            'metadata.annotations["x/"*][json].n[to=$new].w',
            [("/metadata/annotations/x~1one (in its JSON: /n/0/w)", 3)],
        ),
        ('metadata.annotations["x/one"][json].m', [("/metadata/annotations/x~1one (in its JSON: /m)", ABSENT)]),
        ('metadata.annotations["x/two"][json].n', []),
        ('metadata.annotations["x/three"][json].n', []),
        ("spec.rules.backends.weight", []),
        ("metadata[*].name", []),
        ("metadata.name.first", []),
    ],
)
def test_a_path_leads_to_the_places_it_names(path: str, leads_to: list[tuple[str, object]]) -> None:
    assert where(path) == leads_to


def test_a_match_knows_the_rule_and_the_entry_it_was_found_in() -> None:
    first, second = expand(parse("spec.rules[*].backends[name=$new].weight"), ROUTE, NAMES)
    assert (first.wild, second.wild) == ((0,), (2,))
    (chosen,) = first.selected
    assert (pointer(chosen.key), chosen.value) == ("/spec/rules/0/backends/1/name", "sync-v2")
    assert pointer(chosen.at) == "/spec/rules/0/backends/1"
    assert chosen.item == {"name": "sync-v2", "weight": 10}


@pytest.mark.parametrize(
    ("path", "position", "expected"),
    [
        ("", 1, "a key, such as spec"),
        (".spec", 1, "a key, such as spec"),
        ("[*].weight", 1, "a key, such as spec"),
        ("spec..weight", 6, "a key after the dot"),
        ("spec.", 6, "a key after the dot"),
        ("spec.rules[", 12, '*, key=value or "key"'),
        ("spec.rules[*", 13, "a closing bracket"),
        ("spec.rules[0].weight", 12, "[*] or [key=value]; a position says nothing about what stands there"),
        ("spec.rules[name].weight", 16, "= and a value, as in [name=$new]"),
        ("spec.rules[name=].weight", 17, "a value, as in [name=$new]"),
        ("spec.rules[name=$new.weight", 28, "a closing bracket"),
        ("spec.rules[*]", 14, "a dot and a key; a path ends in the key that holds the number"),
        ("spec.rules[name=x]", 19, "a dot and a key; a path ends in the key that holds the number"),
        ("spec.rules[name=$canary].weight", 17, "$old or $new; another $ must stand in quotes"),
        ("spec.$newest", 6, "$old or $new; another $ must stand in quotes"),
        ("spec.a b", 7, 'a dot or a bracket; keys with other characters are written ["..."]'),
        ('spec["a', 6, "a closing quote"),
        ('spec[""]', 6, "at least one character between the quotes"),
        ('spec["a"', 9, "= and a value, as in [name=$new]"),
    ],
)
def test_a_path_that_cannot_be_read_says_where_and_what_was_expected(path: str, position: int, expected: str) -> None:
    with pytest.raises(PathError) as caught:
        parse(path)
    assert caught.value.position == position
    assert str(caught.value) == f"path {path!r} cannot be read at position {position}: expected {expected}"


@given(st.text(alphabet='ab.[]*~json="$ \\0', max_size=20))
def test_any_text_is_either_read_or_refused_at_a_position_inside_it(text: str) -> None:
    position = 1
    try:
        last = parse(text).steps[-1]
    except PathError as error:
        position = error.position
    else:
        assert isinstance(last, Key)
    assert 1 <= position <= len(text) + 1


@given(st.lists(st.text(min_size=1, max_size=8).filter(lambda key: "$" not in key), min_size=1, max_size=4))
def test_any_key_can_be_written_in_quotes(keys: list[str]) -> None:
    def quoted(key: str) -> str:
        return '"' + re.sub(r'(["\\])', r"\\\1", key) + '"'

    path = parse(".".join(quoted(key) for key in keys))
    assert path.steps == tuple(Key(Word(key, quoted=True)) for key in keys)
    node: Any = 5
    for key in reversed(keys):
        node = {key: node}
    assert [match.value for match in expand(path, node, {})] == [5]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("spec.canary.weight", "/spec has no 'canary'"),
        ("spec.rules.backends", "/spec/rules is a list, where the path needs [*] or [key=value]"),
        ("spec.weights[*].weight", "/spec/weights is not a list"),
        ("spec.rules[*].backends[name=nobody].weight", "no item of /spec/rules/0/backends has name 'nobody'"),
        ("status.weight", "the object has no 'status'"),
        ("metadata[name=other].weight", "/metadata does not have name 'other'"),
        ('metadata.annotations["y/"*][json].n', "/metadata/annotations has no key that begins with 'y/'"),
        ("metadata.name[json].n", "/metadata/name is not JSON in a text"),
    ],
)
def test_a_path_that_leads_nowhere_says_how_far_it_came(path: str, why: str) -> None:
    assert expand(parse(path), ROUTE, NAMES) == []
    assert explain(parse(path), ROUTE, NAMES) == why


def test_an_empty_list_is_named() -> None:
    assert explain(parse("spec[*].weight"), {"spec": []}, {}) == "the list /spec is empty"


def test_a_name_that_is_not_given_is_not_guessed() -> None:
    path = parse("spec.rules[*].backends[name=$new].weight")
    assert path.names == {"new"}
    with pytest.raises(KeyError):
        expand(path, ROUTE, {"old": "sync-v1"})

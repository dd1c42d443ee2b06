"""The path language of `weightAt`: where a number stands in an object.

    path      = key { "." key | bracket }          spec.rules[*].backendRefs[name=$new].weight
    bracket   = "[*]"                              every item of a list
              | "[" key { "." key } "=" value "]"  the items of a list whose key has that value
              | '["' text '"]'                     a key with dots or brackets: metadata.annotations["a.b/c"]
    value     = bare text | '"' text '"'           a bare value also equals a number or boolean written so

`$old` and `$new`, in keys and values, stand for the names of the two Services. A path ends in a key: that is where the
number stands. Positions such as `[0]` are refused on purpose: they say nothing about what is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from syncrollout.ports import Object

Token = str | int
_BARE_KEY = re.compile(r'[^.\[\]"=\s]+')
_BARE_VALUE = re.compile(r'[^\[\]"=\s]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_NAME = re.compile(r"\$(old|new)(?![A-Za-z0-9_])")


class Absent(Enum):
    """The type of ABSENT."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""The value of a match whose last key is not there; writing to it would add it."""


class PathError(ValueError):
    """A path that cannot be read. `position` counts characters of `path` from 1."""

    def __init__(self, path: str, position: int, expected: str) -> None:
        super().__init__(f"path {path!r} cannot be read at position {position}: {expected}")
        self.path = path
        self.position = position


@dataclass(frozen=True, slots=True)
class Word:
    """A key or value of a path, possibly with `$old` or `$new` in it."""

    text: str
    quoted: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Which of `old` and `new` it needs."""
        return frozenset(_NAME.findall(self.text))

    def resolve(self, names: Mapping[str, str]) -> str:
        """The text with names filled in. Raises KeyError for a name that is not given."""
        return _NAME.sub(lambda found: names[found[1]], self.text) if "$" in self.text else self.text


@dataclass(frozen=True, slots=True)
class Key:
    """One key of an object."""

    word: Word


@dataclass(frozen=True, slots=True)
class Every:
    """`[*]`."""


@dataclass(frozen=True, slots=True)
class Where:
    """`[key=value]`; the key may be dotted."""

    keys: tuple[Word, ...]
    value: Word

    def accepts(self, found: object, value: str) -> bool:
        """Whether what stands at the key is the value that is asked for."""
        if isinstance(found, str):
            return found == value
        return not self.value.quoted and isinstance(found, bool | int | float) and json.dumps(found) == value


Step = Key | Every | Where


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path; `text` is how it was written."""

    text: str
    steps: tuple[Step, ...]

    @property
    def wildcards(self) -> int:
        """How many `[*]` it has."""
        return sum(isinstance(step, Every) for step in self.steps)

    @property
    def names(self) -> frozenset[str]:
        """Which of `old` and `new` it needs."""
        return frozenset().union(*(word.names for step in self.steps for word in _words(step)))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Selected:
    """An item that `[key=value]` chose: itself, its index in its list, and what its key holds."""

    item: Object
    index: int
    key: tuple[Token, ...]
    """The place of the key that was compared."""
    value: Any


@dataclass(frozen=True, slots=True)
class Match:
    """One place that a path leads to."""

    tokens: tuple[Token, ...]
    value: Any
    """What stands there; ABSENT where the last key is missing."""
    wild: tuple[int, ...] = ()
    """The indices taken by each `[*]`, in order."""
    selected: tuple[Selected, ...] = ()
    """The items chosen by each `[key=value]`, in order."""

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer (RFC 6901)."""
        return pointer(self.tokens)


def pointer(tokens: tuple[Token, ...]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


@lru_cache(maxsize=1024)
def parse(text: str) -> Path:
    """Read a path. Raises PathError, with the position and what was expected there."""
    return Path(text, tuple(_Reader(text).steps()))


def expand(path: Path, obj: Object, names: Mapping[str, str]) -> list[Match]:
    """Every place of `obj` that the path leads to, in the object's own order; none where the object has another form.

    `names` gives the Service names for `old` and `new`. Raises KeyError where the path needs one that is not given.
    """
    return list(_walk(path.steps, obj, names, Match((), obj)))


def explain(path: Path, obj: Object, names: Mapping[str, str]) -> str:
    """Why a path leads nowhere: the furthest place that it reaches, and what is missing there."""
    last = ""
    for length in range(1, len(path.steps) + 1):
        here = list(_walk(path.steps[: length - 1], obj, names, Match((), obj)))
        if not any(True for _ in _walk(path.steps[:length], obj, names, Match((), obj), last=False)):
            last = _missing(path.steps[length - 1], here[0], names)
            break
    return last


def _walk(
    steps: tuple[Step, ...], node: Any, names: Mapping[str, str], so_far: Match, *, last: bool = True
) -> Iterator[Match]:
    """Follow the steps; with `last` the last key may be absent."""
    if not steps:
        yield so_far
        return
    step, rest = steps[0], steps[1:]
    for found in _follow(step, node, names, so_far, may_be_absent=last and not rest):
        yield from _walk(rest, found.value, names, found, last=last)


def _follow(step: Step, node: Any, names: Mapping[str, str], so_far: Match, *, may_be_absent: bool) -> Iterator[Match]:
    at, wild, selected = so_far.tokens, so_far.wild, so_far.selected
    if isinstance(step, Key):
        if not isinstance(node, dict):
            return
        key = step.word.resolve(names)
        if key in node:
            yield Match((*at, key), node[key], wild, selected)
        elif may_be_absent and not step.word.names:
            # a key that is a Service's name is how the entry is known: where it is absent, it is not the entry
            yield Match((*at, key), ABSENT, wild, selected)
    elif not isinstance(node, list):
        return
    elif isinstance(step, Every):
        for index, item in enumerate(node):
            yield Match((*at, index), item, (*wild, index), selected)
    else:
        value = step.value.resolve(names)
        keys = tuple(word.resolve(names) for word in step.keys)
        for index, item in enumerate(node):
            found = _get(item, keys)
            if step.accepts(found, value):
                chosen = Selected(item, index, (*at, index, *keys), found)
                yield Match((*at, index), item, wild, (*selected, chosen))


def _get(node: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if not isinstance(node, dict) or key not in node:
            return ABSENT
        node = node[key]
    return node


def _missing(step: Step, here: Match, names: Mapping[str, str]) -> str:
    place = pointer(here.tokens) or "the object"
    if isinstance(step, Key):
        if isinstance(here.value, list):
            return f"{place} is a list, where the path needs [*] or [key=value]"
        return f"{place} has no {step.word.resolve(names)!r}"
    if not isinstance(here.value, list):
        return f"{place} is not a list"
    if isinstance(step, Every):
        return f"the list {place} is empty"
    key = ".".join(word.resolve(names) for word in step.keys)
    return f"no item of {place} has {key} {step.value.resolve(names)!r}"


def _words(step: Step) -> tuple[Word, ...]:
    if isinstance(step, Key):
        return (step.word,)
    return (*step.keys, step.value) if isinstance(step, Where) else ()


class _Reader:
    """A path read from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def steps(self) -> Iterator[Step]:
        step: Step = Key(self.word(_BARE_KEY, "a key, such as spec"))
        yield step
        while self.at < len(self.text):
            if self.take("."):
                step = Key(self.word(_BARE_KEY, "a key after the dot"))
            elif self.take("["):
                step = self.bracket()
            else:
                raise self.error('a dot or a bracket; keys with other characters are written ["..."]')
            yield step
        if not isinstance(step, Key):
            raise self.error("a dot and a key; a path ends in the key that holds the number")

    def bracket(self) -> Step:
        if self.take("*"):
            self.close()
            return Every()
        if self.peek('"'):
            word = self.word(_BARE_KEY, "a key in quotes")
            if self.take("]"):
                return Key(word)
        else:
            start = self.at
            word = self.word(_BARE_KEY, '*, key=value or "key"')
            if word.text.isdigit() and self.peek("]"):
                self.at = start
                raise self.error("[*] or [key=value]; a position says nothing about what stands there")
        keys = [word]
        while self.take("."):
            keys.append(self.word(_BARE_KEY, "a key after the dot"))
        if not self.take("="):
            raise self.error("= and a value, as in [name=$new]")
        value = self.word(_BARE_VALUE, "a value, as in [name=$new]")
        self.close()
        return Where(tuple(keys), value)

    def word(self, bare: re.Pattern[str], expected: str) -> Word:
        if self.peek('"'):
            found = _QUOTED.match(self.text, self.at)
            if not found:
                raise self.error("a closing quote")
            if not found[1]:
                raise self.error("at least one character between the quotes")
            self.at = found.end()
            return Word(re.sub(r'\\(["\\])', r"\1", found[1]), quoted=True)
        found = bare.match(self.text, self.at)
        if not found:
            raise self.error(expected)
        for dollar in re.finditer(r"\$", found[0]):
            if not _NAME.match(found[0], dollar.start()):
                self.at = found.start() + dollar.start()
                raise self.error("$old or $new; another $ must stand in quotes")
        self.at = found.end()
        return Word(found[0])

    def peek(self, character: str) -> bool:
        return self.text.startswith(character, self.at)

    def take(self, character: str) -> bool:
        if self.peek(character):
            self.at += 1
            return True
        return False

    def close(self) -> None:
        if not self.take("]"):
            raise self.error("a closing bracket")

    def error(self, expected: str) -> PathError:
        return PathError(self.text, self.at + 1, f"expected {expected}")

"""The path language of `weightAt`: where a number stands in an object.

    path      = key { "." key | bracket }          spec.rules[*].backendRefs[name=$new].weight
    bracket   = "[*]"                              every item of a list
              | "[" key { "." key } "=" value "]"  the items of a list whose key has that value; of an object, itself
              | "[" key { "." key } "~=" value "]" likewise, where the value is that Service as a host (`as_host`)
              | '["' text '"]'                     a key with dots or brackets: metadata.annotations["a.b/c"]
              | '["' text '"*]'                    every key that begins so
              | "[json]"                           the JSON that a text holds
    value     = bare text | '"' text '"'           a bare value also equals a number or boolean written so

`$old` and `$new`, in keys and values, stand for the names of the two Services. A path ends in a key: that is where the
number stands. Positions such as `[0]` are refused on purpose: they say nothing about what is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from syncrollout.ports import Object

_BARE_KEY = re.compile(r'[^.\[\]"=\s]+')
_BARE_VALUE = re.compile(r'[^\[\]"=\s]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_NAME = re.compile(r"\$(old|new)(?![A-Za-z0-9_])")


class Absent(Enum):
    """The type of ABSENT."""

    ABSENT = "absent"


class Inside(Enum):
    """The type of INSIDE."""

    INSIDE = "inside"


ABSENT: Final = Absent.ABSENT
"""The value of a match whose last key is not there; writing to it would add it."""
INSIDE: Final = Inside.INSIDE
"""Among the tokens of a place: what follows is in the JSON of the text that stands there."""
Token = str | int | Inside


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
class Begins:
    """`["text"*]`."""

    word: Word


@dataclass(frozen=True, slots=True)
class Json:
    """`[json]`."""


@dataclass(frozen=True, slots=True)
class Where:
    """`[key=value]`, or `[key~=value]` with `host`; the key may be dotted."""

    keys: tuple[Word, ...]
    value: Word
    host: bool = False

    def accepts(self, found: object, value: str, namespace: str) -> bool:
        """Whether what stands at the key is the value that is asked for."""
        if isinstance(found, str):
            return as_host(found, value, namespace) if self.host else found == value
        return not self.value.quoted and isinstance(found, bool | int | float) and json.dumps(found) == value


Step = Key | Every | Begins | Json | Where


def as_host(host: str, service: str, namespace: str) -> bool:
    """Whether a host is that Service of the namespace: by its name alone, with the namespace, or in full; a scheme
    before it and a port after it do not count."""
    bare = re.sub(r"^[a-z0-9+]+://|:[0-9]+$", "", host)
    name, _, rest = bare.partition(".")
    return name == service and (rest in ("", namespace, f"{namespace}.svc") or rest.startswith(f"{namespace}.svc."))


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path; `text` is how it was written."""

    text: str
    steps: tuple[Step, ...]

    @property
    def wildcards(self) -> int:
        """How many steps it has that go to every item or key."""
        return sum(isinstance(step, Every | Begins) for step in self.steps)

    @property
    def names(self) -> frozenset[str]:
        """Which of `old` and `new` it needs."""
        return frozenset().union(*(word.names for step in self.steps for word in _words(step)))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Selected:
    """An item that `[key=value]` chose: itself, its place, and what its key holds."""

    item: Object
    at: tuple[Token, ...]
    key: tuple[Token, ...]
    """The place of the key that was compared."""
    value: Any


@dataclass(frozen=True, slots=True)
class Match:
    """One place that a path leads to."""

    tokens: tuple[Token, ...]
    value: Any
    """What stands there; ABSENT where the last key is missing."""
    wild: tuple[Token, ...] = ()
    """What each `[*]` and `["text"*]` took, in order."""
    selected: tuple[Selected, ...] = ()
    """The items chosen by each `[key=value]`, in order."""

    @property
    def place(self) -> str:
        """The place, for people."""
        return pointer(self.tokens)


def pointer(tokens: tuple[Token, ...]) -> str:
    """A JSON pointer (RFC 6901); a place in the JSON of a text has two, one after the other, for people."""
    if INSIDE in tokens:
        stored, inner = split(tokens)
        return f"{pointer(stored)} (in its JSON: {pointer(inner)})"
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


def split(tokens: tuple[Token, ...]) -> tuple[tuple[str | int, ...], tuple[str | int, ...]]:
    """The place in the object, and the place in the JSON of the text that stands there."""
    plain = [token for token in tokens if not isinstance(token, Inside)]
    at = tokens.index(INSIDE) if INSIDE in tokens else len(tokens)
    return tuple(plain[:at]), tuple(plain[at:])


@lru_cache(maxsize=1024)
def parse(text: str) -> Path:
    """Read a path. Raises PathError, with the position and what was expected there."""
    return Path(text, tuple(_Reader(text).steps()))


def expand(path: Path, obj: Object, names: Mapping[str, str]) -> list[Match]:
    """Every place of `obj` that the path leads to, in the object's own order; none where the object has another form.

    `names` gives the Service names for `old` and `new`. Raises KeyError where the path needs one that is not given.
    """
    return list(_walk(path.steps, obj, names, Match((), obj)))


def not_json(path: Path, obj: Object, names: Mapping[str, str]) -> str | None:
    """What is wrong with a text on the way that should be JSON; None where all are."""
    for length, step in enumerate(path.steps):
        if isinstance(step, Json):
            for here in _walk(path.steps[:length], obj, names, Match((), obj), last=False):
                try:
                    json.loads(here.value)
                except ValueError as error:
                    return f"{here.place} should be JSON, and is not: {error}"
                except TypeError:
                    continue
    return None


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
    elif isinstance(step, Where):
        yield from _choose(step, node, names, so_far)
    elif isinstance(step, Json):
        try:
            yield Match((*at, INSIDE), json.loads(node), wild, selected)
        except (TypeError, ValueError):
            return
    else:
        prefix = step.word.resolve(names) if isinstance(step, Begins) else None
        for token, item in _items(node) if prefix is None else _keys(node, prefix):
            yield Match((*at, token), item, (*wild, token), selected)


def _choose(step: Where, node: Any, names: Mapping[str, str], so_far: Match) -> Iterator[Match]:
    at = so_far.tokens
    value = step.value.resolve(names)
    keys = tuple(word.resolve(names) for word in step.keys)
    places: list[tuple[tuple[Token, ...], Any]] = [(at, node)] if isinstance(node, dict) else []
    for place, item in places or [((*at, index), item) for index, item in _items(node)]:
        found = get(item, keys)
        if step.accepts(found, value, names.get("namespace", "")):
            yield Match(place, item, so_far.wild, (*so_far.selected, Selected(item, place, (*place, *keys), found)))


def _items(node: Any) -> list[tuple[Token, Any]]:
    return list(enumerate(node)) if isinstance(node, list) else []


def _keys(node: Any, prefix: str) -> list[tuple[Token, Any]]:
    return [(key, item) for key, item in node.items() if key.startswith(prefix)] if isinstance(node, dict) else []


def get(node: Any, tokens: Sequence[Token]) -> Any:
    """What stands at a place; ABSENT where nothing does."""
    for token in tokens:
        if isinstance(node, dict) and token in node:
            node = node[token]
        elif token is INSIDE and isinstance(node, str):
            node = json.loads(node)
        elif isinstance(node, list) and isinstance(token, int) and token < len(node):
            node = node[token]
        else:
            return ABSENT
    return node


def _missing(step: Step, here: Match, names: Mapping[str, str]) -> str:
    place = pointer(here.tokens) or "the object"
    if isinstance(step, Key):
        if isinstance(here.value, list):
            return f"{place} is a list, where the path needs [*] or [key=value]"
        return f"{place} has no {step.word.resolve(names)!r}"
    if isinstance(step, Begins):
        return f"{place} has no key that begins with {step.word.resolve(names)!r}"
    if isinstance(step, Json):
        return f"{place} is not JSON in a text"
    if isinstance(here.value, dict) and isinstance(step, Where):
        return f"{place} does not have {_dotted(step, names)} {step.value.resolve(names)!r}"
    if not isinstance(here.value, list):
        return f"{place} is not a list"
    if isinstance(step, Every):
        return f"the list {place} is empty"
    return f"no item of {place} has {_dotted(step, names)} {step.value.resolve(names)!r}"


def _dotted(step: Where, names: Mapping[str, str]) -> str:
    return ".".join(word.resolve(names) for word in step.keys)


def _words(step: Step) -> tuple[Word, ...]:
    if isinstance(step, Key | Begins):
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
            if self.take("*"):
                self.close()
                return Begins(word)
        else:
            start = self.at
            word = self.word(_BARE_KEY, '*, key=value or "key"')
            if word.text == "json" and self.take("]"):
                return Json()
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
        last = keys[-1]
        host = not last.quoted and last.text.endswith("~") and last.text != "~"
        if host:
            keys[-1] = Word(last.text.removesuffix("~"))
        return Where(tuple(keys), value, host)

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

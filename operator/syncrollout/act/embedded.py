"""Numbers in JSON that an object keeps as text: an annotation, for one. They are changed in the text itself, so that
spaces, order and everything else stay as their owner wrote them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def with_number(text: str, tokens: Sequence[str | int], number: int) -> str:
    """The JSON text with `number` at a place; it is added where the last key is missing.

    Raises ValueError where the text is no JSON, KeyError where an earlier part of the place is not there.
    """
    start, end, before = _span(text, _skip(text, 0), list(tokens))
    return f"{text[:start]}{before}{number}{text[end:]}"


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _span(text: str, at: int, tokens: list[str | int]) -> tuple[int, int, str]:
    """Where the value begins and ends, and what has to stand before it for it to be there."""
    if not tokens:
        return at, _DECODER.raw_decode(text, at)[1], ""
    closing = {"{": "}", "[": "]"}.get(text[at : at + 1])
    if closing is None or isinstance(tokens[0], str) != (closing == "}"):
        raise KeyError(tokens[0])
    found, last, index = None, at + 1, 0
    at = _skip(text, at + 1)
    while not text.startswith(closing, at):
        key: object = index
        if closing == "}":
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)  # past the colon
        if key == tokens[0]:
            found = at  # of a key that is there twice the last one counts
        last = _DECODER.raw_decode(text, at)[1]
        at = _skip(text, last)
        if text.startswith(",", at):
            at = _skip(text, at + 1)
        elif not text.startswith(closing, at):
            raise json.JSONDecodeError(f"no comma or {closing}", text, at)
        index += 1
    if found is not None:
        return _span(text, found, tokens[1:])
    if len(tokens) > 1 or closing == "]":
        raise KeyError(tokens[0])
    comma, colon = (", ", ": ") if '": ' in text else (",", ":")
    return last, last, f"{comma if index else ''}{json.dumps(tokens[0])}{colon}"

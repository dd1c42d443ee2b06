"""`docs/reference.md`, made from the models of spec and status.

python -m syncrollout.cli.reference_page [--write | --check]      at the root of the repository
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from syncrollout.api.crd import Schema, structural
from syncrollout.api.fields import (
    DURATION_PATTERN,
    NAME_PATTERN,
    OBJECT_NAME_PATTERN,
    PATTERN_MESSAGE,
    POSITIVE_DURATION_PATTERN,
    Model,
)
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import API_VERSION, KIND, Reason
from syncrollout.cli.sentences import MEANINGS
from syncrollout.pages import add_choice, carry_out

PAGE: Final = Path("docs/reference.md")
_PLACES: Final = 3
"""Places of a model that are named; of the others it is said how many there are."""
_RULES: Final = "x-kubernetes-validations"
_PATTERNS: Final = {
    DURATION_PATTERN: "[duration](#values)",
    POSITIVE_DURATION_PATTERN: "[duration](#values) above 0",
    NAME_PATTERN: "[name](#values)",
    OBJECT_NAME_PATTERN: "[object name](#values)",
}

_INTRO: Final = f"""# Reference of {KIND}

Made from the models in `operator/syncrollout/api` by `make generate`.

Every field of `apiVersion: {API_VERSION}`, `kind: {KIND}`. `kubectl explain syncrollout.spec.phases` says
the same in a terminal, `kubectl syncrollout validate -f FILE` checks a file against it without a cluster
([kubectl.md](kubectl.md#checking-a-file)). A field that is not marked *required* may be left out. What is listed
under *refused* is refused by the API server at apply, with that sentence.

| part | who writes it |
|---|---|
| [`spec`](#spec) | a person |
| [`status`](#status) | the operator alone |
| [reasons](#reasons) | the operator: `status.reason`, conditions, history and Events |

## Values

| kind | how it is written |
|---|---|
| duration | whole numbers with units `s`, `m`, `h`, `d`, `w`: `90s`, `1h30m`, `7d`; at most `999w` |
| time | RFC 3339 in UTC with milliseconds: `2026-01-05T10:00:00.000Z` |
| name | at most 63 lower case letters, digits and `-`: `small-traffic` |
| object name | the name of an object of Kubernetes: at most 253 lower case letters, digits, `-` and `.` |
| map | keys with values, all of one kind |
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A model where it stands first: its schema as the API server has it, and as pydantic does, which keeps names."""

    title: str
    facts: Schema
    source: Schema
    places: list[str] = field(default_factory=list)
    """All paths that lead to it."""


class Tree:
    """The parts of a model, in the order in which one reads them."""

    def __init__(self, model: type[Model], root: str, *, defaults: bool) -> None:
        self._source = model.model_json_schema()
        self._definitions: Mapping[str, Schema] = self._source.get("$defs", {})
        self.root = Part(root, structural(model, defaults=defaults), self._source, [root])
        self.parts: dict[str, Part] = {}
        self._walk(self.root, root)

    def _walk(self, part: Part, path: str) -> None:
        inner = []
        for name, facts, source in self.fields(part):
            found = self.object_in(source, facts)
            if found is None:
                continue
            title, schema, suffix = found
            place = f"{path}.{name}{suffix}"
            known = self.parts.get(title)
            if known is None:
                known = self.parts[title] = Part(title, schema, self._definitions[title])
            known.places.append(place)
            inner.append((known, place))
        for known, place in inner:
            self._walk(known, place)

    def fields(self, part: Part) -> Iterator[tuple[str, Schema, Schema]]:
        """Name, and both schemas, of every field."""
        for name, facts in part.facts.get("properties", {}).items():
            yield name, facts, part.source["properties"][name]

    def object_in(self, source: Schema, facts: Schema) -> tuple[str, Schema, str] | None:
        """The model that a field holds, with what the path to it ends in; None for plain values."""
        if facts["type"] == "array":
            found = self.object_in(self.plain(source)["items"], facts["items"])
            return found and (found[0], found[1], f"[]{found[2]}")
        if "additionalProperties" in facts:
            found = self.object_in(self.plain(source)["additionalProperties"], facts["additionalProperties"])
            return found and (found[0], found[1], f".*{found[2]}")
        title = self.named(source)
        if facts["type"] != "object" or title is None:
            return None
        return title, facts, ""

    def plain(self, source: Schema) -> Schema:
        """Without null, which is what may be left out."""
        branches = [each for each in source.get("anyOf", ()) if each != {"type": "null"}]
        return branches[0] | {key: source[key] for key in source if key != "anyOf"} if branches else source

    def named(self, source: Schema) -> str | None:
        """The name of the definition that is referred to."""
        reference = self.plain(source).get("$ref")
        return None if reference is None else str(reference).rpartition("/")[2]

    def kind(self, source: Schema, facts: Schema) -> str:
        """What a value is, with its bounds, as a cell of a table."""
        found = self.object_in(source, facts)
        plain = self.plain(source)
        if facts["type"] == "array":
            return f"list of {self.kind(plain['items'], facts['items'])}{_size(facts, 'minItems', 'maxItems')}"
        if "additionalProperties" in facts:
            inner = self.kind(plain["additionalProperties"], facts["additionalProperties"])
            return f"map of {inner}{_size(facts, '', 'maxProperties')}"
        if found is not None:
            return f"[{found[0]}](#{found[0].lower()})"
        return self._plain_kind(plain, facts)

    def _plain_kind(self, plain: Schema, facts: Schema) -> str:
        if self.named(plain) == Reason.__name__:
            return "one of the [reasons](#reasons)"
        if "enum" in facts:
            return " \\| ".join(f"`{word}`" for word in facts["enum"])
        if facts.get("format") == "date-time":
            return "[time](#values)"
        pattern = plain.get("pattern")
        if pattern in _PATTERNS:
            return _PATTERNS[pattern]
        if pattern is not None:
            how = str(plain[PATTERN_MESSAGE]).partition("; ")[2].removeprefix("write ")
            return f"text: {_cell(how)}"
        if facts["type"] == "string":
            size = _size(facts, "minLength", "maxLength")
            return f"text{size} characters" if size else "text"
        if facts["type"] in ("integer", "number"):
            return f"{'whole number' if facts['type'] == 'integer' else 'number'}{_range(facts)}"
        return {"boolean": "`true` \\| `false`", "object": "object, as it is"}[facts["type"]]


def _size(facts: Schema, least: str, most: str) -> str:
    low, high = facts.get(least), facts.get(most)
    if low and high:
        return f", {low} to {high}" if low != high else f", {low}"
    return f", at most {high}" if high else f", at least {low}" if low else ""


def _range(facts: Schema) -> str:
    low, high = facts.get("minimum"), facts.get("maximum")
    from_low = "" if low is None else f"above {low:g}" if facts.get("exclusiveMinimum") else f"from {low}"
    to_high = "" if high is None else f"below {high:g}" if facts.get("exclusiveMaximum") else f"to {high}"
    return "".join(f" {each}" for each in (from_low, to_high) if each)


def _cell(text: str) -> str:
    """A text in a cell of a table: what Markdown or HTML would take for its own is none."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def markdown() -> str:
    """The page. Raises ValueError where two models of one name are different."""
    spec = Tree(SyncRolloutSpec, "spec", defaults=True)
    status = Tree(SyncRolloutStatus, "status", defaults=False)
    both = spec.parts.keys() & status.parts.keys()
    if both:
        raise ValueError(f"models of spec and status have the same name: {', '.join(sorted(both))}")
    lines = [
        _INTRO,
        *_section(spec, spec.root, "## Spec"),
        *(line for part in spec.parts.values() for line in _section(spec, part, f"### {part.title}")),
        *_section(status, status.root, "## Status"),
        *(line for part in status.parts.values() for line in _section(status, part, f"### {part.title}")),
        *_reasons(),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(tree: Tree, part: Part, title: str) -> list[str]:
    required = part.facts.get("required", ())
    about = " ".join(part.source.get("description", "").replace("``", "`").split())
    made = [title, "", _cell(about), "", _places(part.places), ""]
    made += ["| field | kind | default | what it says |", "|---|---|---|---|"]
    for name, facts, source in tree.fields(part):
        default = "*required*" if name in required else f"`{_word(facts['default'])}`" if "default" in facts else ""
        text = _cell(facts.get("description", ""))
        made.append(f"| `{name}` | {tree.kind(source, facts)} | {default} | {text} |")
    made.append("")
    refused = [_cell(each["message"]) for each in part.source.get(_RULES, ())]
    if refused:
        made += ["Refused:", "", *(f"- {each}" for each in dict.fromkeys(refused)), ""]
    return made


def _places(places: Sequence[str]) -> str:
    shown = ", ".join(f"`{place}`" for place in places[:_PLACES])
    more = len(places) - _PLACES
    return f"Stands at {shown}{f' and {more} more places' if more > 0 else ''}."


def _word(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def _reasons() -> list[str]:
    made = [
        "## Reasons",
        "",
        "`kubectl syncrollout explain-decision NAME` says the same of the reason that a rollout has now.",
        "",
        "| reason | what has happened, or is the case | what changes it |",
        "|---|---|---|",
    ]
    for reason in Reason:
        meaning = MEANINGS[reason]
        made.append(f"| `{reason.value}` | {_cell(meaning.what)} | {_cell(meaning.change)} |")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Write docs/reference.md, or compare it with what it should be. Run it at the root of the repository."""
    parser = argparse.ArgumentParser(prog="python -m syncrollout.cli.reference_page", description=main.__doc__)
    add_choice(parser, PAGE)
    return carry_out(parser.parse_args(arguments), PAGE, markdown(), source="the models say")


if __name__ == "__main__":
    sys.exit(main())

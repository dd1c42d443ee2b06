"""Filling in texts that people have written, in a language that can neither reach anything nor run for long.

It is Jinja2's, sandboxed, and of that only what a message needs: names, fields, comparisons, `if`, `for`, and a few
filters. Nothing can be called, assigned or multiplied, so no text can make anything that grows by itself; loops take so
many turns altogether, and a text has so many characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_TEMPLATE: Final = 16_384
LONGEST_TEXT: Final = 16_384
"""Characters of a template, and of what comes of it."""
MOST_TURNS: Final = 2_000
"""Of all loops of a text together."""
_NODES: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.For,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Concat,
    nodes.Filter,
    nodes.Test,
    nodes.Tuple,
    nodes.List,
)
_FILTERS: Final = ("default", "first", "join", "last", "length", "lower", "trim", "upper")
_TESTS: Final = ("defined", "undefined", "none", "even", "odd", "eq", "equalto", "ne", "in")
_WORDS: Final = {
    nodes.Assign: "set",
    nodes.AssignBlock: "set",
    nodes.Call: "a call",
    nodes.CallBlock: "call",
    nodes.Extends: "extends",
    nodes.FilterBlock: "filter",
    nodes.FromImport: "from",
    nodes.Import: "import",
    nodes.Include: "include",
    nodes.Macro: "macro",
    nodes.Mul: "*",
    nodes.Pow: "**",
    nodes.With: "with",
}


class TextInvalid(Exception):
    """A template cannot be used; the message says where and why."""


def filled_in(source: str, facts: Mapping[str, Any]) -> str:
    """The text of a template. Raises TextInvalid."""
    template = _Environment()
    made: list[str] = []
    length = 0
    try:
        for piece in template.from_string(source).generate(**facts):
            made.append(piece)
            length += len(piece)
            if length > LONGEST_TEXT:
                msg = f"the text becomes longer than {LONGEST_TEXT} characters"
                raise TextInvalid(msg)
    except TemplateSyntaxError as error:
        msg = f"line {error.lineno}: {error.message}"
        raise TextInvalid(msg) from None
    except (TemplateError, TypeError, ValueError) as error:
        raise TextInvalid(str(error)) from None
    except RecursionError:
        msg = "it is nested too deep"
        raise TextInvalid(msg) from None
    return "".join(made)


class _Environment(ImmutableSandboxedEnvironment):
    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, cache_size=0)
        self.globals = {}
        self.filters = {name: self.filters[name] for name in _FILTERS} | {"turns": self._counted, "join": _joined}
        self.tests = {name: self.tests[name] for name in _TESTS}
        self._left = MOST_TURNS

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Fields are those of mappings; nothing of Python's can be reached."""
        return isinstance(obj, LoopContext) and attr in ("index", "index0", "first", "last", "length")

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field of a mapping first, whatever Python's mappings have of that name."""
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > LONGEST_TEMPLATE:
            msg = f"the template is longer than {LONGEST_TEMPLATE} characters"
            raise TextInvalid(msg)
        tree = super()._parse(source, name, filename)
        _check(tree)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "turns", [], [], None, None, lineno=loop.lineno)
        return tree

    def _counted(self, values: Iterable[Any]) -> Iterator[Any]:
        if isinstance(values, str):
            msg = "a loop goes over a list, and not over a text"
            raise TextInvalid(msg)
        for value in values:
            self._left -= 1
            if self._left < 0:
                msg = f"its loops take more than {MOST_TURNS} turns"
                raise TextInvalid(msg)
            yield value


def _check(node: nodes.Node) -> None:
    for child in node.iter_child_nodes():
        where = f"line {getattr(child, 'lineno', '?')}"
        if not isinstance(child, _NODES):
            what = _WORDS.get(type(child), type(child).__name__)
            msg = f"{where}: {what} cannot be used in messages; use fields, if, for and filters"
            raise TextInvalid(msg)
        if isinstance(child, nodes.Filter) and child.name not in _FILTERS:
            msg = f"{where}: there is no filter {child.name}; there are {', '.join(_FILTERS)}"
            raise TextInvalid(msg)
        if isinstance(child, nodes.Test) and child.name not in _TESTS:
            msg = f"{where}: there is no test {child.name}; there are {', '.join(_TESTS)}"
            raise TextInvalid(msg)
        if isinstance(child, nodes.For) and child.recursive:
            msg = f"{where}: a loop cannot be recursive in messages"
            raise TextInvalid(msg)
        _check(child)


def _joined(values: Iterable[Any], separator: str = "") -> str:
    text = separator.join(str(value) for value in values)
    if len(text) > LONGEST_TEXT:
        msg = f"the text becomes longer than {LONGEST_TEXT} characters"
        raise TextInvalid(msg)
    return text


__all__ = ["LONGEST_TEMPLATE", "LONGEST_TEXT", "MOST_TURNS", "TextInvalid", "filled_in"]

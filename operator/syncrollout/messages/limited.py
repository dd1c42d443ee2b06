"""Filling in texts that people have written, in a language that can neither reach anything nor run for long.

It is Jinja2's, sandboxed, and of that only what a message needs: names, fields, comparisons, `if`, `for`, and a few
filters. Nothing can be called, assigned or multiplied, and lists are of constants, so that no text can make anything
that grows by itself; loops take so many turns altogether, each at the price of what stands in it, and whatever is put
together has so many characters. Nothing is worked out before it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

LONGEST_TEMPLATE: Final = 16_384
LONGEST_TEXT: Final = 16_384
"""Characters of a template, and of what comes of it."""
MOST_TURNS: Final = 2_000
"""Of all loops of a text together."""
MOST_PIECES: Final = 1_000
"""Of a template: names, texts, comparisons and whatever else. Those that are built in have a hundred."""
MOST_WORK: Final = 200_000
"""Pieces of a template that are gone through in loops, and `_AT_ONCE` characters that filters read, all together."""
_AT_ONCE: Final = 64
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
    except (RecursionError, SyntaxError, MemoryError):  # Python's own, of what Jinja2 has made of it
        msg = "it is nested too deep"
        raise TextInvalid(msg) from None
    return "".join(made)


class _Environment(ImmutableSandboxedEnvironment):
    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, cache_size=0, optimized=False)
        self.globals = {}
        self.filters = {name: self.filters[name] for name in _FILTERS} | {
            "turns": self._counted,
            "join": self._joined,
            "read": self._read,
        }
        self.tests = {name: self.tests[name] for name in _TESTS} | {"even": _even, "odd": _odd}
        self._left = MOST_TURNS
        self._work = MOST_WORK

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
        if sum(1 for _ in tree.find_all(nodes.Node)) > MOST_PIECES:
            msg = f"the template has more than {MOST_PIECES} pieces"
            raise TextInvalid(msg)
        _check(tree)
        for loop in tree.find_all(nodes.For):
            price = nodes.Const(sum(1 for _ in loop.find_all(nodes.Node)))
            loop.iter = nodes.Filter(loop.iter, "turns", [price], [], None, None, lineno=loop.lineno)
        return _Bounded().visit(tree)  # type: ignore[no-any-return]

    def _read(self, value: Any) -> Any:
        """What a filter or a search goes through, as it is."""
        self._spend(1 + (len(value) // _AT_ONCE if isinstance(value, str) else 0))
        return value

    def _spend(self, work: int) -> None:
        self._work -= work
        if self._work < 0:
            msg = "it takes too long: put less into its loops"
            raise TextInvalid(msg)

    def _joined(self, values: Iterable[Any], separator: Any = "") -> str:
        text, between = "", str(separator)
        for number, value in enumerate(values):
            piece = str(value)
            if len(text) + len(piece) + len(between) > LONGEST_TEXT:
                msg = f"the text becomes longer than {LONGEST_TEXT} characters"
                raise TextInvalid(msg)
            text += between + piece if number else piece
            self._spend(1 + len(piece) // _AT_ONCE)
        return text

    def _counted(self, values: Iterable[Any], price: int) -> Iterator[Any]:
        if isinstance(values, str):
            msg = "a loop goes over a list, and not over a text"
            raise TextInvalid(msg)
        for value in values:
            self._left -= 1
            if self._left < 0:
                msg = f"its loops take more than {MOST_TURNS} turns"
                raise TextInvalid(msg)
            self._spend(price)
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
        listed = isinstance(child, nodes.List) or (isinstance(child, nodes.Tuple) and child.ctx == "load")
        if listed and not all(isinstance(each, nodes.Const) for each in child.iter_child_nodes()):
            msg = f"{where}: a list that is written out can have nothing but texts and numbers"
            raise TextInvalid(msg)
        if isinstance(child, nodes.For) and child.recursive:
            msg = f"{where}: a loop cannot be recursive in messages"
            raise TextInvalid(msg)
        _check(child)


class _Bounded(NodeTransformer):
    """Has what makes texts, or goes through them, keep to the bounds."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - the name is the library's
        self.generic_visit(node)
        pieces = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(pieces, "join", [], [], None, None, lineno=node.lineno)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if node.name not in ("turns", "join") and node.node is not None:
            node.node = _read(node.node)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        for each in node.ops:
            each.expr = _read(each.expr)
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.args = [_read(each) for each in node.args]
        return node


def _read(node: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, "read", [], [], None, None, lineno=node.lineno)


def _even(value: Any) -> bool:
    return _whole(value) % 2 == 0


def _odd(value: Any) -> bool:
    return _whole(value) % 2 == 1


def _whole(value: Any) -> int:
    """Of a text Python would make another one by `%`, of any length."""
    if not isinstance(value, int):
        msg = "only numbers are even or odd"
        raise TextInvalid(msg)
    return value


__all__ = ["LONGEST_TEMPLATE", "LONGEST_TEXT", "MOST_TURNS", "TextInvalid", "filled_in"]

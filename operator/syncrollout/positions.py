"""Where in a stream of YAML documents a field stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]


class Loader(yaml.SafeLoader):
    """As kubectl reads: times stay text, 1e-3 is a number, and a file may be JSON, which writes what lies beyond the
    first 65,536 characters as two halves; of a half alone nothing can be made."""

    def compose_scalar_node(self, anchor: Any) -> Any:
        """The node, its text in whole characters."""
        node = super().compose_scalar_node(anchor)
        if not node.value.isascii():
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return node


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


@dataclass(frozen=True, slots=True)
class Lines:
    """One document of a file: `root` is its node."""

    file: str
    root: Any

    def of(self, path: Sequence[str | int]) -> str:
        """File and line of the field's value, or of what it is missing from."""
        return self._told(self._node(path)[-1])

    def of_key(self, path: Sequence[str | int]) -> str:
        """File and line of the field's name, or of what it is missing from."""
        return self._told(self._node(path)[0])

    def line(self, path: Sequence[str | int]) -> int:
        """The line of the field's name, from 1."""
        return int(self._node(path)[0].start_mark.line) + 1

    def twice(self) -> Iterator[Path]:
        """The fields that are given more than once; a parser keeps the last of them and says nothing."""
        yield from _twice(self.root, (), set())

    def _node(self, path: Sequence[str | int]) -> tuple[Any, ...]:
        """Nodes of name and value; the value's alone in a list."""
        found: tuple[Any, ...] = (self.root,)
        for step in path:
            below = _below(found[-1], step)
            if below is None:
                break
            found = below
        return found

    def _told(self, node: Any) -> str:
        return f"{self.file}:{node.start_mark.line + 1}"


def dotted(path: Sequence[str | int]) -> str:
    """A path as people write it, such as spec.phases[1].weight."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _below(node: Any, step: str | int) -> tuple[Any, ...] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return (node.value[step],)
    return None


def _twice(node: Any, path: Path, seen_nodes: set[int]) -> Iterator[Path]:
    if id(node) in seen_nodes:
        return  # by an alias: it has been looked through, or is being
    seen_nodes.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            at = (*path, key.value)
            if key.value in seen:
                yield at
            seen.add(key.value)
            yield from _twice(value, at, seen_nodes)
    if isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _twice(value, (*path, place), seen_nodes)


__all__ = ["Lines", "Path", "dotted"]

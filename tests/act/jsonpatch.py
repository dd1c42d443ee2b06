"""The part of RFC 6902 that the operator uses (`test`, and `add` to an object), for tests without an API server.

`tests/act/test_routes_on_the_api_server.py` sends the same operations to a real one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any


class TestFailed(Exception):
    """A `test` operation did not hold."""

    __test__ = False  # not a class of tests


def apply(obj: dict[str, Any], operations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A patched copy of `obj`. Raises TestFailed, or KeyError and IndexError where a place is not there."""
    patched = copy.deepcopy(obj)
    for operation in operations:
        *parents, last = [
            token.replace("~1", "/").replace("~0", "~") for token in operation["path"].removeprefix("/").split("/")
        ]
        node: Any = patched
        for token in parents:
            node = node[int(token)] if isinstance(node, list) else node[token]
        if operation["op"] == "test":
            if node.get(last) != operation["value"]:
                raise TestFailed(operation["path"])
        elif operation["op"] == "add" and isinstance(node, dict):
            node[last] = operation["value"]
        else:
            raise NotImplementedError(operation)
    return patched

"""What GitOps tools make of objects, by the libraries that they themselves are built of (`gomod/gitops/main.go`)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from testbed import build
from testbed.errors import TestbedError
from testbed.kube import Obj


class ScriptFailed(TestbedError):
    """A script, or an expression, that the library refused; the message is its own."""


@dataclass(frozen=True, slots=True)
class Healing:
    """What Argo CD's self-heal makes of one object: whether a difference is left, and what a sync would apply."""

    differs: bool
    applies: Obj


class GitOps:
    """`with GitOps() as tools: tools.kstatus(obj)`; ready at once."""

    def __enter__(self) -> Self:
        build.ensure("gitops")
        self._process = subprocess.Popen(
            [build.program("gitops")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def lua(self, script: str, obj: Obj, now: float = 0.0) -> Any:
        """What a script of Argo CD's answers for `obj`, with the libraries alone that Argo CD opens for it."""
        return self._ask(ask="lua", script=script, object=obj, now=int(now))

    def kstatus(self, obj: Obj) -> str:
        """InProgress, Failed, Current or Terminating, by which Flux and kpt go."""
        return str(self._ask(ask="kstatus", object=obj)["status"])

    def heals(
        self, live: Obj, wanted: Obj, *, managers: Sequence[str] = (), expressions: Sequence[str] = ()
    ) -> Healing:
        """What Argo CD does where `live` stands and Git says `wanted`, with this much ignored and respected."""
        found = self._ask(ask="applied", live=live, wanted=wanted, managers=managers, expressions=expressions)
        return Healing(found["differs"], found["applies"])

    def _ask(self, **question: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        reply: Mapping[str, Any] = json.loads(self._process.stdout.readline())
        if "error" in reply:
            raise ScriptFailed(reply["error"])
        return reply["answer"]

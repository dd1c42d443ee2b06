"""The cluster, through the kubectl that the plugin is called by: whatever its user's kubeconfig, credentials, exec
plugins, proxies and impersonation are, they are the plugin's too, and it needs no library for them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from syncrollout.cli.answers import Failed

RESOURCE: Final = "syncrollouts.syncrollout.io"
PROGRAM: Final = "KUBECTL_SYNCROLLOUT_KUBECTL"
"""The variable that names another kubectl than the one on PATH."""
TIMEOUT: Final = 60.0
"""Seconds that one call may take, a login by an exec plugin included."""

_WATCH_AGAIN: Final = 2.0
"""Seconds between the beginnings of two watches."""
_NOT_THERE: Final = "(NotFound)"
_CHANGED: Final = "(Conflict)"
_NO_KIND: Final = ("the server doesn't have a resource type", "no matches for kind", "could not find the requested")
_UNREACHABLE: Final = ("Unable to connect to the server", "was refused - did you specify the right host")
_VERB: Final = re.compile(r'cannot (\w+) resource(?: "([^"]+)")?')
"""The right that is missing, as the API server says it: `get` of kubectl may be get, list or watch."""
_DENIED: Final = re.compile(r" denied (?:the )?request: ")
"""What stands before the words in which an admission policy or webhook refuses a write: no right is missing then."""


class NotThere(Failed):
    """What was asked for does not exist."""


class Changed(Failed):
    """Somebody else has changed the object since it was read."""


class Cluster(Protocol):
    """What the commands ask of a cluster. Every method raises Failed with a sentence for the person."""

    def get(self, resource: str, name: str) -> dict[str, Any]:
        """One object of the namespace. Raises NotThere."""

    def names(self, resource: str) -> list[str]:
        """The names of all objects of a kind in the namespace."""

    def every(self, resource: str, *, selector: str = "", everywhere: bool = False) -> list[dict[str, Any]]:
        """All objects of a kind that a label selector chooses; `everywhere`: of all namespaces."""

    def watch(self, resource: str, name: str) -> Generator[dict[str, Any], None, None]:
        """One object of the namespace as it is, and anew whenever it changes, without end. Raises NotThere once it is
        deleted."""

    def who(self) -> str:
        """The user's own name, as the API server knows it."""

    def patch(self, resource: str, name: str, patch: dict[str, Any], *, dry_run: bool = False) -> None:
        """A merge patch; with metadata.resourceVersion in it, raises Changed where that is not the object's any more.
        `dry_run`: the API server checks it and changes nothing."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """`Cluster`, by running kubectl; what is empty is left to kubectl and its user's settings."""

    namespace: str = ""
    context: str = ""
    kubeconfig: str = ""
    timeout: float = TIMEOUT

    def get(self, resource: str, name: str) -> dict[str, Any]:
        """See Cluster."""
        found: dict[str, Any] = json.loads(self._run("get", resource, name, "-o", "json"))
        return found

    def whole(self, resource: str, name: str) -> dict[str, Any]:
        """One object of the namespace with its managed fields, which say when the API server took each write."""
        found: dict[str, Any] = json.loads(self._run("get", resource, name, "--show-managed-fields", "-o", "json"))
        return found

    def raw(self, path: str) -> str:
        """What the API server answers at a path of its own, such as that of a Service's proxy."""
        return self._run("get", "--raw", path)

    def run(self, *arguments: str) -> str:
        """What kubectl prints."""
        return self._run(*arguments)

    def complaints(self, *arguments: str, given: str) -> list[str]:
        """What kubectl has to say, a line each, against the objects that it is given on standard input; empty where all
        went well. Raises Failed where there is no kubectl, or no answer."""
        ended = self._ended(*arguments, given=given)
        return [line for line in ended.stderr.splitlines() if line.strip()] if ended.returncode else []

    def logs(self, pod: str, *, since: int, lines: int, most_bytes: int, previous: bool = False) -> str:
        """The ends of the logs of all containers of a pod; `previous`: of those before their last restart."""
        bounds = (f"--since={since}s", f"--tail={lines}", f"--limit-bytes={most_bytes}")
        return self._run("logs", pod, "--all-containers", *bounds, *(["--previous"] if previous else []))

    def names(self, resource: str) -> list[str]:
        """See Cluster."""
        return [line.rpartition("/")[2] for line in self._run("get", resource, "-o", "name").split()]

    def every(self, resource: str, *, selector: str = "", everywhere: bool = False) -> list[dict[str, Any]]:
        """See Cluster."""
        chosen = ([f"--selector={selector}"] if selector else []) + (["--all-namespaces"] if everywhere else [])
        found: list[dict[str, Any]] = json.loads(self._run("get", resource, "-o", "json", *chosen))["items"]
        return found

    def served(self) -> list[str]:
        """Plural and group of every kind of objects in namespaces, as `kubectl get` takes them."""
        return self._run("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()

    def accepts(self, file: str) -> str:
        """What the API server says to a file that it checks and does not apply."""
        return self._run("apply", "--dry-run=server", "-f", file)

    def watch(self, resource: str, name: str) -> Generator[dict[str, Any], None, None]:
        """See Cluster."""
        while True:
            began = time.monotonic()
            yield from self._changes(resource, name)
            # The API server ends every watch after a while. The next one begins with the object as it is then.
            time.sleep(max(0.0, began + _WATCH_AGAIN - time.monotonic()))

    def _changes(self, resource: str, name: str) -> Generator[dict[str, Any], None, None]:
        """Those of one watch, until it ends."""
        arguments = ("get", resource, name, "--watch", "--output-watch-events", "-o", "json")
        with tempfile.TemporaryFile("w+") as problems:
            running = subprocess.Popen(self._line(*arguments), stdout=subprocess.PIPE, stderr=problems, text=True)
            try:
                assert running.stdout is not None
                for event in _objects(running.stdout):
                    if event["type"] == "DELETED":
                        raise NotThere(f"{name} has been deleted")
                    if event["type"] != "ERROR":
                        yield event["object"]
                code = running.wait()
            finally:
                running.kill()
                running.communicate()
            if code:
                problems.seek(0)
                raise _failure(arguments, problems.read().strip())

    def clock(self) -> str:
        """The API server's time, RFC 3339 in whole seconds; empty where it does not say."""
        review = json.loads(self._run("auth", "whoami", "-o", "json"))
        return str((review.get("metadata") or {}).get("creationTimestamp") or "")

    def who(self) -> str:
        """See Cluster."""
        try:
            review = json.loads(self._run("auth", "whoami", "-o", "json"))
        except Failed as error:
            raise Failed(f"the API server does not say who you are ({error})") from error
        return str(((review.get("status") or {}).get("userInfo") or {}).get("username") or "")

    def patch(self, resource: str, name: str, patch: dict[str, Any], *, dry_run: bool = False) -> None:
        """See Cluster."""
        options = ["--dry-run=server"] if dry_run else []
        manager = "--field-manager=kubectl-syncrollout"
        self._run("patch", resource, name, "--type=merge", "--patch", json.dumps(patch), manager, *options)

    def _line(self, *arguments: str) -> list[str]:
        """The command with the person's own options. Raises Failed where there is no kubectl."""
        program = os.environ.get(PROGRAM) or "kubectl"
        if shutil.which(program) is None:
            raise Failed(f"{program} is not on PATH, and the plugin reaches the cluster through it: install kubectl")
        options = (("--namespace", self.namespace), ("--context", self.context), ("--kubeconfig", self.kubeconfig))
        return [program, *arguments, *(f"{option}={value}" for option, value in options if value)]

    def _run(self, *arguments: str) -> str:
        ended = self._ended(*arguments)
        if ended.returncode == 0:
            return ended.stdout
        raise _failure(arguments, ended.stderr.strip())

    def _ended(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        line = self._line(*arguments)
        try:
            return subprocess.run(line, input=given, capture_output=True, text=True, check=False, timeout=self.timeout)
        except subprocess.TimeoutExpired as error:
            raise Failed(
                f"kubectl {arguments[0]} gave no answer within {self.timeout:.0f} s: is the cluster there?"
            ) from error


def _objects(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The objects of a stream of JSON, each of one line (as of kubectl 1.37) or of several."""
    text = ""
    for line in lines:
        text += line
        if not line.rstrip().endswith("}"):
            continue
        try:
            found = json.loads(text)
        except ValueError:
            continue  # a brace of something within it
        yield found
        text = ""


def _failure(arguments: Sequence[str], said: str) -> Failed:
    """What kubectl said, with what to do about it."""
    if RESOURCE in arguments and any(words in said for words in _NO_KIND):
        return Failed(f"this cluster knows no SyncRollouts: apply the CRD, kubectl apply -f crds/ (kubectl: {said})")
    if _NOT_THERE in said:
        return NotThere(said)
    if _CHANGED in said:
        return Changed(said)
    if any(words in said for words in _UNREACHABLE):
        return Failed(f"the cluster does not answer: look at --context and --kubeconfig (kubectl: {said})")
    if denied := _DENIED.search(said):
        return Failed(f"refused: {said[denied.end() :]} (kubectl: {said[: denied.start()]})")
    if "(Forbidden)" in said:
        verb = _VERB.search(said)
        may_not = verb[1] if verb else arguments[0]
        named = arguments[0] not in ("logs", "exec") and not arguments[1].startswith("-")
        what = verb[2] if verb and verb[2] and not named else arguments[1]
        return Failed(f"you may not {may_not} {what} here: ask for that right (kubectl: {said})")
    return Failed(f"kubectl {arguments[0]} failed: {said or 'it said nothing'}")


__all__ = ["PROGRAM", "RESOURCE", "Changed", "Cluster", "Kubectl", "NotThere"]

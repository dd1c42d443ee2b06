"""etcd itself, past the API server: by its JSON gateway, for what no API server does."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from itertools import islice
from typing import Any

from testbed.errors import TestbedError

BATCH = 50
"""Keys that are put in one transaction: etcd takes 128 operations, and 1.5 MB."""


class Etcd:
    """The etcd on a port of the loopback."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, key: str) -> bytes:
        """The value of a key. Raises TestbedError where there is none."""
        found = self._call("/v3/kv/range", {"key": _text(key.encode())}).get("kvs")
        if not found:
            raise TestbedError(f"etcd has no key {key}")
        return base64.b64decode(found[0]["value"])

    def put_all(self, values: Mapping[str, bytes]) -> None:
        """Put many keys; the API server hears of them by its watch."""
        pairs = iter(values.items())
        while batch := list(islice(pairs, BATCH)):
            puts = [{"requestPut": {"key": _text(key.encode()), "value": _text(value)}} for key, value in batch]
            self._call("/v3/kv/txn", {"success": puts})

    def compact(self) -> None:
        """Forget every revision but the last: what is watched or listed from an older one is gone (410)."""
        revision = self._call("/v3/kv/range", {"key": _text(b"/")})["header"]["revision"]
        self._call("/v3/kv/compaction", {"revision": revision, "physical": True})

    def defragment(self) -> None:
        """Give back the space that compaction has freed."""
        self._call("/v3/maintenance/defragment", {})

    @property
    def size(self) -> int:
        """Bytes of the database's file."""
        return int(self._call("/v3/maintenance/status", {})["dbSize"])

    @property
    def alarms(self) -> list[str]:
        """What it raises an alarm for: NOSPACE where it is full."""
        return [str(each["alarm"]) for each in self._raised()]

    def disarm(self) -> None:
        """End all alarms: a person does, once there is space again."""
        for raised in self._raised():
            self._call("/v3/maintenance/alarm", {"action": "DEACTIVATE", **raised})

    def _raised(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("/v3/maintenance/alarm", {"action": "GET"}).get("alarms") or []
        return found

    def _call(self, path: str, body: Mapping[str, Any]) -> Any:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        if answer.status != 200:
            raise TestbedError(f"etcd: {path}: {answer.status}: {content[:300].decode(errors='replace')}")
        return json.loads(content)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


__all__ = ["Etcd"]

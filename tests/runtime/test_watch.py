"""The watch of SyncRollouts begins wherever the process may run."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path

import pytest
import yaml

from syncrollout.runtime.kubeconfig import Connection
from syncrollout.runtime.watch import RolloutWatch


@pytest.fixture
def nowhere(tmp_path: Path) -> Connection:
    """An API server that nobody runs."""
    path = tmp_path / "kubeconfig"
    clusters = [{"name": "a", "cluster": {"server": "http://127.0.0.1:9"}}]
    contexts = [{"name": "a", "context": {"cluster": "a", "user": "a"}}]
    users = [{"name": "a", "user": {"token": "t"}}]
    settings = {"current-context": "a", "clusters": clusters, "contexts": contexts, "users": users}
    path.write_text(yaml.safe_dump(settings))
    return Connection.load(str(path))


async def test_it_begins_as_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch, nowhere: Connection) -> None:
    """As in a pod whose user is a number that the image has no entry for."""

    def nameless() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", nameless)
    begun = asyncio.Event()
    watch = RolloutWatch(
        nowhere,
        namespaces=(),
        watch_timeout=60.0,
        user_agent="test",
        on_seen=lambda _: None,
        on_gone=lambda _: None,
        on_started=begun.set,
    )
    running = asyncio.create_task(watch.run())
    waiting = asyncio.create_task(begun.wait())
    await asyncio.wait((running, waiting), timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert begun.is_set()
    running.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)

"""A server that says whatever a test wants it to, byte by byte; nothing of it outlives its block."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Gets a request's head, and writes the answer."""


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[int]:
    """The port at which every request is answered so. At the end connections are closed, and answers under way cut."""
    under_way: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        try:
            await serve(await reader.readuntil(b"\r\n\r\n"), writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            under_way.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way)


__all__ = ["Serve", "served"]

"""A stand-in for an API server at the HTTP level, for what a real one does only in trouble: it answers what it is
told to, slowly or not at all. Bound to loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpApi:
    """`async with HttpApi() as server: ...`. `answer` makes the response to everything but discovery."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.tokens: list[str] = []
        self.under_way = 0
        self.most_under_way = 0
        self.answer: Answer = self.empty
        self.address = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def kubeconfig(self, user: dict[str, Any] | None = None, namespace: str = "") -> dict[str, Any]:
        """A kubeconfig that points here."""
        context = {"cluster": "here", "user": "me", **({"namespace": namespace} if namespace else {})}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "main",
            "clusters": [{"name": "here", "cluster": {"server": self.address}}],
            "users": [{"name": "me", "user": user or {}}],
            "contexts": [{"name": "main", "context": context}],
        }

    @staticmethod
    async def empty(request: web.Request) -> web.StreamResponse:
        """Whatever was asked for is there, and empty."""
        if request.method == "GET" and request.path.endswith("configmaps"):
            return web.json_response({"metadata": {"resourceVersion": "7"}, "items": []})
        return web.json_response({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})

    @staticmethod
    def says(status: int, headers: dict[str, str] | None = None, **body: Any) -> Answer:
        """An answer with a Status object."""

        async def answer(request: web.Request) -> web.StreamResponse:
            status_object = {"kind": "Status", "code": status, **body}
            return web.Response(status=status, text=json.dumps(status_object), headers=headers)

        return answer

    @staticmethod
    def after(event: asyncio.Event) -> Answer:
        """No answer until the event is set."""

        async def answer(request: web.Request) -> web.StreamResponse:
            await event.wait()
            return await HttpApi.empty(request)

        return answer

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.tokens.append(request.headers.get("Authorization", ""))
        if request.path == "/api/v1":
            resources = [
                {"name": "configmaps", "kind": "ConfigMap", "namespaced": True},
                {"name": "pods", "kind": "Pod", "namespaced": True},
                {"name": "pods/log", "kind": "Pod", "namespaced": True},
                {"name": "namespaces", "kind": "Namespace", "namespaced": False},
                {"name": "namespaces/status", "kind": "Namespace", "namespaced": False},
            ]
            return web.json_response({"kind": "APIResourceList", "resources": resources})
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self.answer(request)
        finally:
            self.under_way -= 1

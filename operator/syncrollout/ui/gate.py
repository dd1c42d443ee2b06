"""Who may look: by what name the page is called, and whether the bearer token is one that counts. And the headers that
keep a browser from doing with the page what it is not made for.

The files of the page hold nothing of any rollout and are given to everybody who may call the page by its name; what
rollouts say is given to who has the token alone, or to whom the API server knows by his own, as far as he may read them
there. The token is sent by the page itself, in a header and never in a
cookie, so that no other site can look through a viewer's browser.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from aiohttp import web

from syncrollout.runtime.doors import Door, Visitor

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "syncrollout",
}
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names by which a page on the loopback interface is called. Another name that leads there is somebody's trick: a site
that has its own name point to this machine, to be let in by the browser as if it were that site."""


class Gate:
    """Lets requests in, by one of the page's names; `names` empty: by any. `door` says who is asked for a token."""

    def __init__(self, *, door: Door, names: Collection[str]) -> None:
        self._door = door
        self._names = frozenset(name.lower() for name in names)

    @property
    def asks(self) -> bool:
        """Whether a token is asked for."""
        return self._door.asks

    def refusal(self, request: web.Request, *, private: bool) -> web.Response | None:
        """Why a request is not let in; None where it is. `private`: it asks for what rollouts say."""
        if self._names and _name(request.headers.get("Host", "")) not in self._names:
            text = "this page is not called by that name: see --ui-host"
            return web.Response(status=421, text=f"{text}\n")
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none") and private:
            return web.Response(status=403, text="another site may not look at rollouts\n")
        return None

    async def visitor(self, request: web.Request) -> Visitor:
        """Who looks. Raises Denied (401, 503)."""
        return await self._door.admit(request.headers.get("Authorization", ""))


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


__all__ = ["HEADERS", "LOOPBACK", "POLICY", "Gate"]

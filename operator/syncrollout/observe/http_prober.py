"""The Prober port on aiohttp: by the Service's name in the cluster's DNS, as the clients of the Service reach it.

Not through the API server: its proxy asks for the right to reach every Service of the cluster (`services/proxy`),
its answers come by another way than the traffic does, and an API server outside of the cluster's network reaches none.
"""

from __future__ import annotations

import asyncio
import time

import aiohttp
from yarl import URL

from syncrollout.net.connecting import connector, refusal, why_refused
from syncrollout.net.destinations import ANYWHERE, Destinations
from syncrollout.ports import Answer, ProbeFailed

MOST_BODY = 64 * 1024
"""Bytes of a body that are read; the rest is left."""


class HttpProber:
    """`syncrollout.ports.Prober`. `host` says how a Service is called, with {service} and {namespace} filled in. Every
    probe has a connection of its own: one that is kept open could lead to a pod of before."""

    def __init__(self, host: str, *, user_agent: str = "syncrollout", destinations: Destinations = ANYWHERE) -> None:
        self._host = host
        self._destinations = destinations
        self._headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}

    async def get(
        self, namespace: str, service: str, port: int, path: str, timeout: float, *, tls: bool = False
    ) -> Answer:
        """See the port."""
        host = self._host.replace("{service}", service).replace("{namespace}", namespace)
        url = URL(f"{'https' if tls else 'http'}://{host}:{port}{path}", encoded=True)
        # The operator's own setting says the host: what it leads to is judged, and what it is called is not.
        said = refusal(self._destinations, url, named=False)
        if said:
            raise ProbeFailed(f"not asked: {said}")
        began = time.monotonic()
        try:
            async with (
                asyncio.timeout(timeout),
                self._session(tls=tls) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                body = await _beginning(response.content)
                return Answer(response.status, body, time.monotonic() - began)
        except TimeoutError as error:
            raise ProbeFailed(f"no answer within {timeout:g} s") from error
        except aiohttp.ClientConnectorCertificateError as error:
            why = getattr(error.certificate_error, "verify_message", "") or "verification failed"
            raise ProbeFailed(f"no answer: its certificate is not trusted ({str(why)[:120]})") from error
        except aiohttp.ClientOSError as error:
            if said := why_refused(error):
                raise ProbeFailed(f"not asked: {said}") from error
            raise ProbeFailed(f"no answer: {str(error) or type(error).__name__}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # What is no HTTP is quoted in these errors, and it may be anybody's: only the kind of error is told.
            raise ProbeFailed(f"no answer: {type(error).__name__}, is it HTTP?") from error

    def _session(self, *, tls: bool) -> aiohttp.ClientSession:
        # No cookies, no proxy and no password file of the environment, and no decompression that a small body blows up.
        return aiohttp.ClientSession(
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=connector(self._destinations, named=False, force_close=True, tls=tls),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
            auto_decompress=False,
            max_line_size=8190,
            max_field_size=8190,
        )


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) >= MOST_BODY:
            break
    return bytes(body[:MOST_BODY])


__all__ = ["MOST_BODY", "HttpProber"]

"""The LLM providers behind the gateway: which one a call is for, and asking it.

One connection pool per process, keyed by host; no redirects, no cookies, no decompression, no
proxy from the environment. A call's own bytes never choose the address: only settings do.
"""

from __future__ import annotations

import asyncio
import fnmatch
import io
import os
import random
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from slimdown.backends.breaker import Breaker
from slimdown.gateway.inbound import Inbound
from slimdown.gateway.outgoing import joined_url, upstream_headers
from slimdown.gateway.patience import Patience
from slimdown.gateway.replies import Problem
from slimdown.settings import DEFAULT_UPSTREAMS, GatewaySettings, UpstreamSettings, secret

# Shorter than what common servers grant an idle connection (5 s and more): a request sent on a
# connection that the server is just closing fails, and we may not send it a second time.
_IDLE_CONNECTION_S = 4.0
_SKIPPED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_FAILURES = 5
_OPEN_S = 1.0
_RECONNECT_S = 0.05
_RETRIED = frozenset((502, 503, 504, 529))
_FIRST_DELAY_S = 0.25
_LONGEST_DELAY_S = 10.0
_LARGE_BODY = 1 << 20


class Unanswered(Exception):
    """The upstream gave no answer; ``outcome`` is the exchange's, `problem` the caller's."""

    def __init__(self, outcome: str, problem: Problem) -> None:
        """Take how the exchange ended and what the caller is to be told."""
        super().__init__(problem.message)
        self.outcome = outcome
        self.problem = problem


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """One provider, ready to be asked; ``key`` is the secret itself."""

    name: str
    url: str
    models: tuple[str, ...]
    key: str
    breaker: Breaker


class Upstreams:
    """All providers, and the connections to them."""

    def __init__(
        self,
        settings: GatewaySettings,
        upstreams: Mapping[str, UpstreamSettings],
        environ: Mapping[str, str],
    ) -> None:
        """Resolve the keys; raises `UsageError` for one that cannot be had."""
        self._settings = settings
        self._all = tuple(
            Upstream(
                name=name,
                url=each.url,
                models=each.models,
                key=secret(each.key, environ) if each.key else "",
                breaker=Breaker(_FAILURES, _OPEN_S),
            )
            for name, each in (upstreams or DEFAULT_UPSTREAMS).items()
        )
        self._by_model: dict[str, Upstream] = {}
        self._session: aiohttp.ClientSession | None = None
        self.patience = Patience()

    async def open(self) -> None:
        """Make the connection pool, inside the running loop."""
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=_IDLE_CONNECTION_S, ttl_dns_cache=60
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_SKIPPED,
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=self._settings.connect_timeout_s,  # with the name's resolution
                sock_connect=self._settings.connect_timeout_s,
            ),
            trust_env=False,
        )
        self.patience.start()

    async def close(self) -> None:
        """Close all connections."""
        self.patience.stop()
        if self._session is not None:
            await self._session.close()

    def choose(self, model: str) -> Upstream:
        """Return the first upstream one of whose patterns fits the model, else the last one."""
        found = self._by_model.get(model)
        if found is None:
            fits = (u for u in self._all if any(fnmatch.fnmatchcase(model, p) for p in u.models))
            found = next(fits, self._all[-1])
            if len(self._by_model) < 1024 and len(model) < 256:
                self._by_model[model] = found
        return found

    async def ask(self, upstream: Upstream, inbound: Inbound) -> aiohttp.ClientResponse:
        """Return the upstream's answer as soon as its head is there; raises `Unanswered`.

        A connection that could not be made is tried once more: nothing was sent on it. An answer
        that says "not now" is asked for again only as often as the settings allow.
        """
        response = await self._reached(upstream, inbound)
        for attempt in range(self._settings.retries):
            delay_s = retry_delay_s(response.status, response.headers.get("retry-after"), attempt)
            if delay_s is None:
                break
            response.close()
            await asyncio.sleep(delay_s)
            response = await self._reached(upstream, inbound)
        return response

    async def _reached(self, upstream: Upstream, inbound: Inbound) -> aiohttp.ClientResponse:
        entry = upstream.breaker.enter()
        if entry is None:
            cause = "it could not be a moment ago"
            raise Unanswered("upstream_unreachable", _unreachable(upstream.name, cause))
        reached: bool | None = None
        try:
            response = await self._ask_twice(upstream, inbound)
            reached = True
        except Unanswered as error:
            reached = False if error.outcome == "upstream_unreachable" else None
            raise
        finally:
            upstream.breaker.leave(entry, reached)
        return response

    async def _ask_twice(self, upstream: Upstream, inbound: Inbound) -> aiohttp.ClientResponse:
        try:
            return await self._ask_once(upstream, inbound)
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(_RECONNECT_S)
        try:
            return await self._ask_once(upstream, inbound)
        except aiohttp.ClientConnectorError as error:
            cause = _cause(error)
            raise Unanswered("upstream_unreachable", _unreachable(upstream.name, cause)) from error

    async def _ask_once(self, upstream: Upstream, inbound: Inbound) -> aiohttp.ClientResponse:
        assert self._session is not None, "open() comes first"
        patience_s = self._settings.first_byte_timeout_s
        try:
            with self.patience.limit(patience_s):
                return await self._session.request(
                    inbound.method,
                    joined_url(upstream.url, inbound.path, inbound.query),
                    headers=upstream_headers(
                        inbound.headers,
                        upstream.key,
                        is_anthropic=inbound.endpoint == "messages",
                        uncoded=inbound.wants_stream,
                    ),
                    data=_payload(inbound.body),
                    allow_redirects=False,
                )
        except aiohttp.ClientConnectorError:
            raise
        except aiohttp.ServerTimeoutError as error:
            raise Unanswered(
                "upstream_unreachable", _unreachable(upstream.name, "connecting took too long")
            ) from error
        except TimeoutError as error:
            raise Unanswered("upstream_timeout", _timeout(upstream.name, patience_s)) from error
        except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, ValueError) as error:
            raise Unanswered("upstream_invalid", invalid(upstream.name)) from error
        except (aiohttp.ClientError, OSError) as error:
            cause = "it closed the connection before it answered"
            raise Unanswered("upstream_unreachable", _unreachable(upstream.name, cause)) from error


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    # aiohttp writes a large body piece by piece only from a file.
    return io.BytesIO(body) if len(body) > _LARGE_BODY else body or None


def retry_delay_s(status: int, retry_after: str | None, attempt: int) -> float | None:
    """Return the seconds to wait before an answer with this status is asked for again, or None.

    What the upstream asks for counts up to 10 s; beyond that the caller decides. Else the delay
    doubles with each attempt, and half of it is drawn by lot so that callers do not come at once.
    """
    if status not in _RETRIED:
        return None
    if retry_after is not None:
        # An HTTP date would need both clocks to agree: the caller may judge that.
        return float(retry_after) if _is_short(retry_after) else None
    longest: float = min(_FIRST_DELAY_S * 2**attempt, _LONGEST_DELAY_S)
    return longest * random.uniform(0.5, 1.0)


def _is_short(seconds: str) -> bool:
    return seconds.isdigit() and len(seconds) < 4 and int(seconds) <= _LONGEST_DELAY_S


def invalid(name: str) -> Problem:
    """Return the problem of an answer that is not HTTP, or not JSON where JSON is due."""
    return Problem(
        502,
        "upstream_invalid",
        f"The upstream {name} gave an answer that is not valid; what it said is recorded. "
        "Try again, or ask it directly to see what it says.",
    )


def _cause(error: aiohttp.ClientConnectorError) -> str:
    """Name the cause of a failed connection in words that hold nothing of the request."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name does not resolve"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        inner = error.certificate_error
        why = inner.verify_message if isinstance(inner, ssl.SSLCertVerificationError) else ""
        return f"its certificate is not valid{': ' + why if why else ''}"
    if isinstance(error, aiohttp.ClientSSLError):
        return "TLS could not be agreed on"
    number = error.os_error.errno
    return os.strerror(number) if number else "it hung up before a connection was made"


def _unreachable(name: str, cause: Any) -> Problem:
    return Problem(
        502,
        "upstream_unreachable",
        f"The upstream {name} cannot be reached: {cause}. A model call is recorded as failed. "
        "Check its address in the settings and the network, then send it again.",
        retry=True,
    )


def _timeout(name: str, patience_s: float) -> Problem:
    return Problem(
        504,
        "upstream_timeout",
        f"The upstream {name} did not begin to answer within {patience_s:g} s. A model call "
        "is recorded as failed. Send it again, or raise gateway.first_byte_timeout_s.",
    )

"""Keeps the API within bounds, and asks everybody under /api for a token.

Around the application, so that no route can be forgotten: how many requests there are at once, in
all and of one tenant, what they take of the loop, how long each may take, how large its body is.
The API shares its loop with the work, and must never be able to starve it.
"""

import asyncio
from collections import Counter

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumer.api.claims import TokenRefused
from consumer.api.problems import RETRY_AFTER, problem, unexpected
from consumer.api.share import Share
from consumer.api.tokens import Authenticate, KeysUnavailable
from consumer.logs import get_logger

_log = get_logger(__name__)

#: Requests at once, in all and of one tenant: no tenant can take all of them.
MOST_REQUESTS, MOST_REQUESTS_OF_TENANT = 512, 200
#: Seconds for a whole request, its body and its reply included. Longer than the longest wait for an
#: outcome, see :mod:`consumer.api.syncing`.
REQUEST_SECONDS = 35.0
#: Bytes of a request's line and headers together. The server waits for no more of a larger one, but
#: takes what comes in at once.
LARGEST_HEAD = 16_384
#: Bytes of a request's body; the largest that a route takes is some hundred.
LARGEST_BODY = 65_536
#: More of them are no length that anybody means.
_DIGITS = 18

#: Routes for probes and scrapes, that must answer when all others are refused, or wait. They have a
#: share of their own.
OPEN = frozenset({"/healthz", "/readyz", "/metrics"})
#: All who are no tenant, or are refused, take their turns as if they were one.
_NOBODY = ""


class Guard:
    """Wraps the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticate: Authenticate | None,
        share: Share,
        probes: Share,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._app = app
        self._authenticate = authenticate  # None: nobody can be, since no key is set
        self._share = share
        self._probes = probes
        self._request_seconds = request_seconds
        self._running = 0
        self._running_of: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, in time and whatever happens."""
        if scope["type"] != "http":
            return
        share = self._probes if scope["path"] in OPEN else self._share
        await share.charged(self._answer(scope, receive, send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        refusal: Response | None
        limit = asyncio.timeout(self._request_seconds)
        try:
            async with limit:
                refusal = await self._admitted(scope, receive, note)
                if refusal is not None:
                    # Whoever asks again at once takes time as well.
                    await self._share.turn(_NOBODY)
        except TimeoutError as error:
            refusal = (
                problem(503, "it took too long", headers={"Retry-After": RETRY_AFTER})
                if limit.expired()
                else unexpected(error, scope)
            )
        except asyncio.CancelledError:
            # Only the server does that, at its end, and waits for nothing else of this task.
            refusal = problem(503, "the service is ending", headers={"Retry-After": RETRY_AFTER})
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets an answer
            # Once a reply has begun, whoever began it has logged this.
            refusal = None if begun else unexpected(error, scope)
        if refusal is not None and not begun:
            await refusal(scope, receive, send)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """Let the application answer; returns the refusal if it may not."""
        path = scope["path"]
        if _head_length(scope) > LARGEST_HEAD:
            return problem(400, f"a request's line and headers may have {LARGEST_HEAD} bytes")
        if path in OPEN:
            # Of somebody who asks without end, others must notice nothing.
            await self._probes.turn((scope.get("client") or [_NOBODY])[0])
            await self._app(scope, _bounded(receive), send)
            return None
        is_api = path == "/api" or path.startswith("/api/")
        if not is_api:
            # Before it counts: who is nobody takes no place from a tenant while he waits.
            await self._share.turn(_NOBODY)
        if self._running >= MOST_REQUESTS:
            return problem(
                503, "too many requests are running", headers={"Retry-After": RETRY_AFTER}
            )
        self._running += 1
        try:
            if is_api:
                return await self._authenticated(Headers(scope=scope), scope, receive, send)
            await self._app(scope, _bounded(receive), send)
        finally:
            self._running -= 1
        return None

    async def _authenticated(
        self, headers: Headers, scope: Scope, receive: Receive, send: Send
    ) -> Response | None:
        tenant = await self._tenant(headers)
        if isinstance(tenant, Response):
            return tenant
        if _says_too_large(headers):
            return problem(413, f"a body may have {LARGEST_BODY} bytes")
        if self._running_of[tenant] >= MOST_REQUESTS_OF_TENANT:
            return problem(
                429,
                "too many requests of this tenant are running",
                headers={"Retry-After": RETRY_AFTER},
            )
        scope.setdefault("state", {})["tenant"] = tenant
        self._running_of[tenant] += 1
        try:
            await self._share.turn(tenant)
            await self._app(scope, _bounded(receive), send)
        finally:
            self._running_of[tenant] -= 1
            if not self._running_of[tenant]:
                del self._running_of[tenant]
        return None

    async def _tenant(self, headers: Headers) -> str | Response:
        if self._authenticate is None:
            # Which settings, the log says at the start.
            return problem(503, "the API is not configured here: ask the operator")
        given = headers.getlist("authorization")
        if not given:
            return _unauthorized("Bearer")
        scheme, _, token = given[0].partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer":
            return _unauthorized('Bearer error="invalid_request"')
        try:
            return await self._authenticate(token.strip())
        except TokenRefused as refused:
            _log.debug("token_refused", why=str(refused))
            return _unauthorized('Bearer error="invalid_token"')
        except KeysUnavailable:
            return problem(
                503, "tokens cannot be checked at present", headers={"Retry-After": RETRY_AFTER}
            )


def _unauthorized(challenge: str) -> Response:
    return problem(401, "a valid bearer token is needed", headers={"WWW-Authenticate": challenge})


def _head_length(scope: Scope) -> int:
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return fields + len(scope["path"]) + len(scope["query_string"])


def _says_too_large(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    # Counted first: of thousands of digits Python makes no number.
    return not length.isdecimal() or len(length) > _DIGITS or int(length) > LARGEST_BODY


def _bounded(receive: Receive) -> Receive:
    """Refuse a body that turns out too large, of whatever length it said to be."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                raise HTTPException(413, f"a body may have {LARGEST_BODY} bytes")
        return message

    return bounded

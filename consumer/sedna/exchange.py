"""One call to one tenant's Sedna: builds the request, sends it once, says what the reply means.

The only place that turns transport errors and status codes into `consumer.sedna.errors`. It must
never send a request twice, follow a redirect, or let a secret into an error.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar, assert_never
from urllib.parse import quote

import httpx2

from consumer.sedna import errors
from consumer.sedna.calls import CallDetails, TraceCall, Untraced
from consumer.sedna.gate import Gate, Interrupted
from consumer.sedna.http1 import build_request
from consumer.sedna.operations import Operation, Says, classify
from consumer.sedna.replies import UnreadableReply, clean, excerpt
from consumer.sedna.secrets import Concealer, Credentials
from consumer.sedna.sent import surely_not_sent
from schemas.trace import TraceContext

_T = TypeVar("_T")

#: So many characters of a transport's error are kept.
_REASON: Final = 300
#: Replies to calls with an older login may still be under way.
_COOKIES_REMEMBERED: Final = 8
#: A shorter cookie value is a flag: hiding it would only garble texts.
_SHORTEST_SECRET: Final = 6
_LONGEST_WAIT: Final = 86_400.0
_HEADERS: Final = (
    (b"Accept", b"application/json"),
    # Gains little on replies of a hundred bytes, and costs both sides.
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"sedna-sync"),
)


class Unauthorised(errors.SednaError):
    """401: the call was answered before anything was done. The session decides what follows."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a call may take, in seconds."""

    connect: float
    request: float  #: the whole request, waiting for a connection included


@dataclass(frozen=True, slots=True)
class Reply:
    """A 2xx as it came."""

    status: int
    headers: httpx2.Headers
    content: bytes


def query_of(parameters: Mapping[str, str | int]) -> str:
    """Return a percent-encoded query."""
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in parameters.items())


class Exchange:
    """The way to one tenant's Sedna."""

    def __init__(
        self,
        *,
        base_url: str,
        credentials: Credentials,
        transport: httpx2.AsyncBaseTransport,
        timeouts: Timeouts,
        clock: Callable[[], float],
        observe: Callable[[CallDetails], None],
        gate: Gate,
        trace: TraceCall = Untraced,
    ) -> None:
        """Build it; nothing is sent.

        Raises:
            ValueError: `base_url` is no http or https URL; the message does not repeat it.
        """
        self._url = _base_url(base_url)
        self._base_path = self._url.raw_path.rstrip(b"/")
        self._transport = transport
        self._clock = clock
        self._observe = observe
        self._gate = gate
        self._trace = trace
        self._password = credentials.password
        self._cookies: deque[str] = deque(maxlen=_COOKIES_REMEMBERED)
        self._concealer = Concealer(credentials.password)
        self._timing = {
            "timeout": {
                "connect": timeouts.connect,
                "read": timeouts.request,
                "write": timeouts.request,
                "pool": timeouts.request,
            },
            "deadline": timeouts.request,
        }

    def __repr__(self) -> str:
        return f"Exchange({self._url.host})"

    def conceal(self, text: str) -> str:
        """Take the tenant's secrets out of a text."""
        return self._concealer(text)

    def hide(self, cookies: Iterable[str]) -> None:
        """Take the values of these session cookies out of texts from now on."""
        self._cookies.extend(value for value in cookies if len(value) >= _SHORTEST_SECRET)
        self._concealer = Concealer(self._password, *self._cookies)

    async def call(
        self,
        operation: Operation,
        *,
        read: Callable[[Reply], _T],
        query: str = "",
        body: bytes = b"",
        cookie: str = "",
        before_write: Callable[[], None] | None = None,
        in_turn: bool = False,
        fresh_login: bool = False,
    ) -> _T:
        """Send one request and return what `read` makes of its 2xx.

        `before_write` is called right before the first byte goes out; what it raises comes out of
        here unchanged, and then nothing was sent. `read` may raise `UnreadableReply`, or a
        `SednaError` of its own. `in_turn` says that the caller has waited for the request rate
        already, `fresh_login` that Sedna accepted the login just now.

        Raises:
            Unauthorised: 401.
            SessionRefused: 401, with a fresh login.
            AccountPaused: the gate does not let it out.
            NotSent, OutcomeUnknown, Unavailable, Throttled, RefusedBySedna: see there.
        """
        if not in_turn:
            await self._gate.turn()
        leave = self._gate.enter(operation)
        came_to: errors.SednaError | None = Interrupted()
        started = self._clock()
        result, status = _INTERRUPTED, None
        trace = self._trace(operation, host=self._url.host, port=self._url.port)
        try:
            request = self._request(operation, query, body, cookie, trace.context)
            if before_write is not None:
                request.extensions["before_write"] = before_write
            reply = await self._send(operation, request)
            status = reply.status
            value = await self._read(operation, reply, read, fresh_login=fresh_login)
            result, came_to = _OK, None
        except errors.SednaError as error:
            result, came_to = _RESULTS.get(type(error), _FAILED), error
            raise
        finally:
            leave(came_to)
            details = CallDetails(
                operation.value.name,
                result,
                self._clock() - started,
                status,
                None if came_to is None else str(came_to),
            )
            trace.end(details)
            self._observe(details)
        return value

    def _request(
        self,
        operation: Operation,
        query: str,
        body: bytes,
        cookie: str,
        trace: TraceContext | None,
    ) -> httpx2.Request:
        call = operation.value
        headers = [*_HEADERS]
        if body:
            headers.append((b"Content-Type", b"application/json; charset=utf-8"))
        if cookie:
            headers.append((b"Cookie", cookie.encode("ascii")))
        if trace is not None:
            headers += [(name.encode(), value.encode("ascii")) for name, value in trace.fields()]
        path = f"{call.path}?{query}" if query else call.path
        return build_request(
            call.method,
            self._url,
            target=self._base_path + path.encode("ascii"),
            headers=headers,
            content=body,
            extensions=self._timing,
        )

    async def _send(self, operation: Operation, request: httpx2.Request) -> Reply:
        try:
            response = await self._transport.handle_async_request(request)
            content = await response.aread()
        except httpx2.TransportError as error:
            why = clean(self.conceal(f"{type(error).__name__}: {error}"), _REASON)
            if surely_not_sent(error):
                raise errors.NotSent(f"{operation.value.name}: not sent: {why}") from None
            raise self._failed(operation, f"no whole reply: {why}") from None
        return Reply(response.status_code, response.headers, content)

    async def _read(
        self,
        operation: Operation,
        reply: Reply,
        read: Callable[[Reply], _T],
        *,
        fresh_login: bool,
    ) -> _T:
        says = classify(operation, reply.status)
        if says is Says.READ_IT:
            try:
                return read(reply)
            except UnreadableReply as error:
                why = f"reply cannot be read: {error}: {self._excerpt(reply)}"
                raise self._failed(operation, why, answered=True) from None
        name, said = operation.value.name, f"HTTP {reply.status} {self._excerpt(reply)}".rstrip()
        match says:
            case Says.SESSION if fresh_login:
                raise errors.SessionRefused(
                    f"{name}: {said}, right after a login that was accepted"
                )
            case Says.SESSION:
                raise Unauthorised(f"{name}: {said}")
            case Says.THROTTLED:
                wait = _retry_after(reply.headers)
                raise errors.Throttled(f"{name}: {said}", retry_after=wait)
            case Says.REFUSED:
                raise errors.RefusedBySedna(f"{name}: {said}", error_type=None, status=reply.status)
            case Says.NO_SUCH_CALL:
                raise errors.Unavailable(f"{name}: {said}", answered=True)
            case Says.UNKNOWN | Says.UNAVAILABLE:
                raise self._failed(operation, said)
            case _:
                assert_never(says)

    def _excerpt(self, reply: Reply) -> str:
        text = excerpt(reply.content, conceal=self.conceal)
        return repr(text) if text else ""

    @staticmethod
    def _failed(
        operation: Operation, why: str, *, answered: bool = False
    ) -> errors.OutcomeUnknown | errors.Unavailable:
        message = f"{operation.value.name}: {why}"
        if operation.value.creates:
            return errors.OutcomeUnknown(message)
        return errors.Unavailable(message, answered=answered)


_RESULTS: Final[Mapping[type[errors.SednaError], str]] = {
    Unauthorised: "unauthorised",
    errors.NotSent: "not_sent",
    errors.OutcomeUnknown: "unknown",
    errors.Unavailable: "unavailable",
    errors.Throttled: "throttled",
    errors.LoginRefused: "login_refused",
    errors.SessionRefused: "session_refused",
    errors.RefusedBySedna: "refused",
}
_OK: Final = "ok"
_FAILED: Final = "failed"  #: in a way that this module does not know
_INTERRUPTED: Final = "interrupted"  #: cancelled, or called back before its first byte
#: All that `CallDetails.result` can be.
RESULTS: Final = frozenset({_OK, *_RESULTS.values(), _FAILED, _INTERRUPTED})
#: Those whose time says nothing of Sedna.
UNANSWERED: Final = frozenset({_RESULTS[errors.NotSent], _INTERRUPTED})


def _base_url(text: str) -> httpx2.URL:
    """Read a tenant's base address; credentials, query and fragment in it are left out."""
    try:
        url = httpx2.URL(text).copy_with(userinfo=b"", query=None, fragment=None)
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("Sedna's address must be a URL such as https://HOST/SednaAgencyb2bApi")
    return url


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Return the seconds that Sedna asks for; a date is counted from the reply's own `Date`."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(float(text), _LONGEST_WAIT)
    try:
        until, now = (parsedate_to_datetime(when) for when in (text, headers.get("date", "")))
        seconds = (until - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)

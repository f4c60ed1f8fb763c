"""A request as the fake understands it: which operation, with what, about which voucher or hotel.

Pure. Reads paths, parameter names and the session cookie as IIS does, without regard to case (F).
"""

import json
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

from consumer.demo.fake.records import Json

BASE_PATH = "/SednaAgencyb2bApi"
SESSION_COOKIE = "ASP.NET_SessionId"
#: The body of a request that was not JSON.
UNREADABLE = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, whole."""

    method: str
    path: str
    query_string: str = field(repr=False)  #: can hold a password
    headers: dict[str, str] = field(repr=False)  #: names in lower case; can hold a cookie
    body: bytes = field(repr=False)
    keep_alive: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer; `outcome` is for the journal."""

    status: int
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  #: can hold a cookie
    outcome: str = "ok"
    rec_ids: tuple[int, ...] = ()

    @classmethod
    def json(
        cls,
        value: Any,
        *,
        status: int = 200,
        outcome: str = "ok",
        headers: tuple[tuple[str, str], ...] = (),
        rec_ids: tuple[int, ...] = (),
    ) -> "Reply":
        """A JSON body."""
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        kind = ("Content-Type", "application/json; charset=utf-8")
        return cls(status, body, (kind, *headers), outcome, rec_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to the Sedna base path."""

    method: str
    path: str  #: in lower case, without the base path
    query: dict[str, str] = field(repr=False)  #: names in lower case; can hold a password
    body: Any = field(repr=False)  #: parsed; `UNREADABLE` if it was no JSON; `None` if empty
    session_id: str | None = field(repr=False)
    traceparent: str | None
    tracestate: str | None

    @property
    def step(self) -> int | None:
        """Of a stop sale: 1 or 2."""
        if isinstance(self.body, dict) and "StopType" in self.body:
            return 1 if self.body.get("RecId") == 0 else 2
        return None

    @property
    def voucher(self) -> str | None:
        """The voucher that it names."""
        named = self.query.get("voucherno") or self.query.get("voucher")
        return named or _text(self._first.get("VoucherNo")) or _text(self._first.get("Voucher"))

    @property
    def source_id(self) -> str | None:
        """The `SourceId` that it names."""
        return self.query.get("sourceid") or _text(self._first.get("SourceId"))

    @property
    def record_user(self) -> str | None:
        """The `RecordUser` of a stop sale."""
        return _text(self._first.get("RecordUser"))

    @property
    def hotel_id(self) -> int | None:
        """The hotel that it names."""
        named = self._first.get("HotelId") or self._first.get("hotelId")
        text = str(named or self.query.get("hotelid") or "")
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def _first(self) -> Json:
        first = self.body[0] if isinstance(self.body, list) and self.body else self.body
        return first if isinstance(first, dict) else {}


def read_call(request: Request) -> Call | None:
    """The call of a request, or `None` if it is not for the Sedna base path."""
    path, base = request.path.rstrip("/").lower(), BASE_PATH.lower()
    if not path.startswith(f"{base}/"):
        return None
    pairs = parse_qsl(request.query_string, keep_blank_values=True)
    return Call(
        method=request.method,
        path=path[len(base) :],
        query={name.lower(): value for name, value in pairs},
        body=_parse(request.body),
        session_id=_session_id(request.headers.get("cookie", "")),
        traceparent=request.headers.get("traceparent"),
        tracestate=request.headers.get("tracestate"),
    )


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return UNREADABLE


def _session_id(cookie_header: str) -> str | None:
    try:
        found = SimpleCookie(cookie_header).get(SESSION_COOKIE) if cookie_header else None
    except CookieError:
        return None
    return found.value if found else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None

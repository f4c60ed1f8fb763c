"""A Sedna that answers by script, without a network: for the unit tests of the client."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

import httpx2
from typing_extensions import override

from consumer.sedna.calls import CallDetails
from consumer.sedna.client import SednaClient
from consumer.sedna.exchange import Exchange, Timeouts
from consumer.sedna.gate import Gate
from consumer.sedna.secrets import Credentials
from consumer.sedna.sent import with_fact
from consumer.sedna.session import Session
from schemas.inbound import Guest, ReservationCreated, StopSaleCreated
from tests.support.gate import NoGate

PASSWORD = 'p@ss w"örd&1/+'
COOKIE = "c00kie-of-the-session"
BASE = "/SednaAgencyb2bApi"

RESERVATION = ReservationCreated(
    email_id=42,
    voucher_no="JNP 1/2",
    hotel_name="Mandarin",
    check_in=date(2026, 5, 1),
    check_out=date(2026, 5, 8),
    room_type="STD",
    board_type="AI",
    adults=2,
    children=0,
    infants=0,
    guests=(Guest(first_name="A", last_name="B"),),
)
STOP_SALE = StopSaleCreated(
    stop_sale_id=7,
    hotel_name="Mandarin",
    date_from=date(2026, 5, 1),
    date_to=date(2026, 5, 31),
    is_close=True,
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it would have gone out."""

    method: str
    call: str  #: the path's last part
    target: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    extensions: dict[str, Any]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = httpx2.Response | Exception | Callable[[Sent], httpx2.Response | Exception]


def reply(value: Any, status: int = 200, **headers: str) -> httpx2.Response:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx2.Response(status, headers=named, content=content)


def success(rec_id: int = 823259) -> httpx2.Response:
    return reply({"ErrorType": 0, "Message": None, "RecId": rec_id})


def refusal(message: str = "no", error_type: int = 2) -> httpx2.Response:
    return reply({"ErrorType": error_type, "Message": message, "RecId": 0})


def accepted_login(cookie: str = COOKIE) -> httpx2.Response:
    headers = [("Set-Cookie", f"SID={cookie}; path=/; HttpOnly")]
    return httpx2.Response(200, headers=headers, content=b'{"ErrorType": 0, "RecId": 571}')


def failure(error: Exception, *, sent: bool) -> Exception:
    return with_fact(error, sent=sent)


@dataclass
class ScriptedSedna(httpx2.AsyncBaseTransport):
    """Answers each call by its own list: in order, and with the last one from then on."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Sent] = field(default_factory=list)
    #: Set, it holds every call but for those already let through.
    gate: asyncio.Event | None = None

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = self._note(request)
        before_write = request.extensions.get("before_write")
        if before_write is not None:
            before_write()
        if self.gate is not None:
            await self.gate.wait()
        answers = self.answers[sent.call]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(sent)
        if isinstance(answer, Exception):
            raise answer
        # A response can be read once: each call gets its own.
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def _note(self, request: httpx2.Request) -> Sent:
        target = request.extensions["target"].decode()
        path, _, query = target.partition("?")
        sent = Sent(
            method=request.method,
            call=path.rpartition("/")[2],
            target=target,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers=dict(request.headers),
            body=request.content,
            extensions=request.extensions,
        )
        self.requests.append(sent)
        return sent

    def calls(self, call: str) -> list[Sent]:
        return [sent for sent in self.requests if sent.call == call]


@dataclass
class ManualClock:
    """Seconds that pass only when a test says so."""

    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Account:
    """One tenant's client over a scripted Sedna."""

    sedna: ScriptedSedna
    clock: ManualClock
    session: Session
    client: SednaClient
    observed: list[CallDetails]


def account(**answers: Sequence[Answer]) -> Account:
    """Build a client whose login is accepted, unless a test says otherwise."""
    return account_of(None, **answers)


def account_of(operator_id: int | None, /, **answers: Sequence[Answer]) -> Account:
    """Build a client of a tenant whose settings name the operator."""
    return account_behind(NoGate(), operator_id, ManualClock(), **answers)


def account_behind(
    gate: Gate, operator_id: int | None, clock: ManualClock, /, **answers: Sequence[Answer]
) -> Account:
    """Build a client whose requests ask a gate."""
    scripts: dict[str, Sequence[Answer]] = {"AgencyLogin": [accepted_login()], **answers}
    sedna = ScriptedSedna({call: list(script) for call, script in scripts.items()})
    observed = list[CallDetails]()
    credentials = Credentials("agency", PASSWORD)
    exchange = Exchange(
        base_url=f"http://sedna.example{BASE}/",
        credentials=credentials,
        transport=sedna,
        timeouts=Timeouts(connect=5, request=30),
        clock=clock,
        observe=observed.append,
        gate=gate,
    )
    session = Session(
        exchange=exchange,
        credentials=credentials,
        operator_id=operator_id,
        clock=clock,
    )
    client = SednaClient(
        session=session, credentials=credentials, operator_code="7STAR", authority_id=207
    )
    return Account(sedna, clock, session, client, observed)

"""What this service does at one tenant's Sedna, as methods: create, complete, look up, list.

Each method is one question or one write; none decides what follows from an error. A create is sent
at most once, or once more after a real 401, which says that it was not done. It must never retry
anything else, and never show credentials.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from consumer.sedna import assumptions, errors, lists, reference
from consumer.sedna.codes import Code
from consumer.sedna.exchange import Reply, query_of
from consumer.sedna.lists import Parsed, ReservationRecord, StopSaleRecord
from consumer.sedna.matching import Hotel
from consumer.sedna.operations import Operation
from consumer.sedna.replies import Accepted, Refused, UnreadableReply, parse_write_reply
from consumer.sedna.secrets import Credentials
from consumer.sedna.session import Login, Session, constant
from consumer.sedna.wire_reservation import reservation_body
from consumer.sedna.wire_stop_sale import IdAndCode, stop_sale_body
from schemas.inbound import ReservationCreated, StopSaleCreated

#: Seconds. A refused insert is held against a login no older than this: see `_held_against_login`.
_LOGIN_CONFIRMED_WITHIN: Final = 60.0


class SednaClient:
    """One tenant's account at Sedna.

    Args of the constructor: the tenant's session and credentials, the code and the authority that
    its stop sales carry (`sedna_operator_code`, `sedna_authority_id`).

    Every method can raise, besides what it says: `NotSent`, `Throttled`, `LoginRefused`,
    `SessionRefused`, `AccountPaused` and `Unavailable`, also from the login that it may need first;
    after each of them Sedna holds nothing new. Who creates has waited for `gate.turn` before.
    """

    def __init__(
        self,
        *,
        session: Session,
        credentials: Credentials,
        operator_code: str,
        authority_id: int,
    ) -> None:
        self._session = session
        self._credentials = credentials.query()
        self._operator_code = operator_code
        self._authority_id = authority_id

    def __repr__(self) -> str:
        return f"SednaClient({self._session!r})"

    def conceal(self, text: str) -> str:
        """Take the tenant's secrets out of a text."""
        return self._session.conceal(text)

    async def login(self) -> Login:
        """Log in, unless a login is in use."""
        return await self._session.current()

    # Writes.

    async def insert_reservation(
        self,
        *,
        reservation: ReservationCreated,
        hotel_id: int,
        room_type_id: int,
        board_id: int,
        nationality_ids: Mapping[str, int],
        declared_on: date,
        before_write: Callable[[], None] | None = None,
    ) -> int:
        """Create the reservation; return its record's id. Not idempotent (A).

        Raises:
            RefusedBySedna: It was not created, and will not be.
            OutcomeUnknown: It was perhaps created.
        """

        def body(login: Login) -> bytes:
            return reservation_body(
                reservation=reservation,
                hotel_id=hotel_id,
                room_type_id=room_type_id,
                board_id=board_id,
                operator_id=login.operator_id,
                source_id=assumptions.source_id(reservation.email_id),
                nationality_ids=nationality_ids,
                declared_on=declared_on,
            )

        query = f"{self._credentials}&{query_of({'voucherNo': reservation.voucher_no})}"
        try:
            return await self._session.call(
                Operation.INSERT_RESERVATION,
                read=self._created,
                query=lambda _: query,
                body=body,
                before_write=before_write,
            )
        except errors.RefusedBySedna:
            await self._held_against_login()
            raise

    async def open_stop_sale(
        self,
        *,
        stop_sale: StopSaleCreated,
        hotel_id: int,
        room_types: Sequence[IdAndCode],
        boards: Sequence[IdAndCode],
        declared_on: date,
        before_write: Callable[[], None] | None = None,
    ) -> int:
        """Step 1: create the record, without children; return its id. Not idempotent (A).

        Raises:
            RefusedBySedna: It was not created, and will not be.
            OutcomeUnknown: It was perhaps created.
        """
        return await self._session.call(
            Operation.OPEN_STOP_SALE,
            read=self._created,
            body=self._stop_sale_body(
                rec_id=0,
                stop_sale=stop_sale,
                hotel_id=hotel_id,
                room_types=room_types,
                boards=boards,
                declared_on=declared_on,
            ),
            before_write=before_write,
        )

    async def complete_stop_sale(
        self,
        rec_id: int,
        *,
        stop_sale: StopSaleCreated,
        hotel_id: int,
        room_types: Sequence[IdAndCode],
        boards: Sequence[IdAndCode],
        declared_on: date,
        before_write: Callable[[], None] | None = None,
    ) -> None:
        """Step 2: fill the record of step 1. May be repeated (A).

        Raises:
            RefusedBySedna: It was not filled, and will not be.
        """
        await self._session.call(
            Operation.COMPLETE_STOP_SALE,
            read=lambda reply: self._accepted(reply, needs_rec_id=False),
            body=self._stop_sale_body(
                rec_id=rec_id,
                stop_sale=stop_sale,
                hotel_id=hotel_id,
                room_types=room_types,
                boards=boards,
                declared_on=declared_on,
            ),
            before_write=before_write,
        )

    # Look-ups that settle what a lost reply left open. Absence is proven only by an answer of
    # which nothing was skipped; whether an element is the one looked for, `recognise` says.

    async def find_reservations(self, *, voucher: str, source_id: str) -> Parsed[ReservationRecord]:
        """Return what Sedna lists under the voucher, and where that is nothing, under the source.

        A: the filters may be loose, so the answer may hold others' reservations.
        """
        found: Parsed[ReservationRecord] = Parsed((), 0)
        for name, value in (("VoucherNo", voucher), ("SourceId", source_id)):
            found = await self._session.call(
                Operation.FIND_RESERVATIONS,
                read=lambda reply: lists.reservations(reply.content),
                body=constant(lists.filter_body({name: value})),
            )
            if found.items or found.skipped:
                break
        return found

    async def find_stop_sales(
        self, *, hotel_id: int, begin: date, end: date
    ) -> Parsed[StopSaleRecord]:
        """Return what Sedna lists for the hotel and the days, `end` included.

        A: the filters may be loose, so the answer may hold others.
        """
        query = query_of(
            {
                "recordDateBegin": "",
                "recordDateEnd": "",
                "stopDateBegin": begin.isoformat(),
                "stopDateEnd": end.isoformat(),
                "hotelId": hotel_id,
            }
        )
        return await self._session.call(
            Operation.FIND_STOP_SALES,
            read=lambda reply: lists.stop_sales(reply.content),
            query=lambda _: query,
        )

    # Lists: see `reference`.

    async def hotels(self) -> tuple[Hotel, ...]:
        """Return the hotels of the account; `Unavailable` also where Sedna lists none."""
        return await reference.hotels(self._session, credentials=self._credentials)

    async def room_types(self, hotel_id: int) -> tuple[Code, ...]:
        """Return the room types of a hotel."""
        return await reference.room_types(self._session, hotel_id)

    async def boards(self) -> tuple[Code, ...]:
        """Return the boards of the account; `Unavailable` also where Sedna lists none."""
        return await reference.boards(self._session)

    async def countries(self) -> Mapping[str, int]:
        """Return nationality ids by `assumptions.country_key`."""
        return await reference.countries(self._session)

    async def _held_against_login(self) -> None:
        """Raise `LoginRefused` instead, if the account's password was changed meanwhile.

        `InsertReservation` carries the credentials itself (K), so it refuses a password that is no
        longer valid in the same form as a bad reservation (A). Nothing was created either way; but
        the one is the event's fault, the other stops the whole tenant.
        """
        await self._session.confirm(max_age=_LOGIN_CONFIRMED_WITHIN)

    def _stop_sale_body(
        self,
        *,
        rec_id: int,
        stop_sale: StopSaleCreated,
        hotel_id: int,
        room_types: Sequence[IdAndCode],
        boards: Sequence[IdAndCode],
        declared_on: date,
    ) -> Callable[[Login], bytes]:
        return lambda login: stop_sale_body(
            stop_sale=stop_sale,
            rec_id=rec_id,
            hotel_id=hotel_id,
            room_types=room_types,
            boards=boards,
            operator_id=login.operator_id,
            operator_code=self._operator_code,
            authority_id=self._authority_id,
            record_user=assumptions.record_user(stop_sale.stop_sale_id),
            declared_on=declared_on,
        )

    def _created(self, reply: Reply) -> int:
        rec_id = self._accepted(reply, needs_rec_id=True).rec_id
        if rec_id is None:
            raise UnreadableReply("no record named")
        return rec_id

    def _accepted(self, reply: Reply, *, needs_rec_id: bool) -> Accepted:
        answer = parse_write_reply(
            reply.content, needs_rec_id=needs_rec_id, conceal=self._session.conceal
        )
        if isinstance(answer, Refused):
            raise errors.RefusedBySedna(
                answer.message or f"no reason given (ErrorType {answer.error_type})",
                error_type=answer.error_type,
                status=reply.status,
            )
        return answer

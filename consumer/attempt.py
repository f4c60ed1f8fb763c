"""One attempt at Sedna: resolve, mark, send. Says what it came to, and decides nothing.

A create is sent only after its mark is in Postgres. Here, and only here, errors become outcomes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import assert_never

from consumer.accounts import Account
from consumer.outcome import Blocked, Done, Outcome, Passing, Refused, Unknown
from consumer.resolving import Unresolvable, resolve_board, resolve_hotel, resolve_room
from consumer.sedna import errors
from consumer.sedna.matching import Hotel
from consumer.sync import Sync
from schemas.inbound import ReservationCreated, StopSaleCreated
from schemas.outcomes import ErrorCode


class NotOurTurn(Exception):
    """The dispatch mark was refused: nothing was sent."""


class OtherLane(Exception):
    """The stop sale is of another hotel than its lane: nothing was sent."""

    def __init__(self, hotel: Hotel) -> None:
        super().__init__(f"hotel {hotel.id}")
        self.hotel = hotel


@dataclass(slots=True)
class Attempt:
    """One attempt at one sync, and how far it has come."""

    sync: Sync
    account: Account
    #: Marks the sync as dispatched in Postgres; raises `NotOurTurn` if that was refused.
    mark: Callable[[Sync], Awaitable[None]]
    #: Stores the record that step 1 of a stop sale made: (sync, record id, hotel id).
    record_step_one: Callable[[Sync, int, int], Awaitable[None]]
    #: Whether a stop sale of this hotel may run in the lane that the sync is in.
    in_lane: Callable[[Sync, Hotel], bool]
    marked: bool = False

    async def run(self) -> Outcome:
        """Make the attempt.

        Raises:
            NotOurTurn, OtherLane: nothing was sent; see there.
        """
        data = self.sync.data
        try:
            match data:
                case ReservationCreated():
                    return await self._reservation(data)
                case StopSaleCreated():
                    return await self._stop_sale(data)
                case None:
                    return Refused(
                        ErrorCode.INVALID_EVENT,
                        "what is stored of this event cannot be read by this release: "
                        "publish it again",
                    )
                case never:
                    assert_never(never)
        except Unresolvable as error:
            return error.refused
        except errors.SednaError as error:
            return self._outcome_of(error)

    def after(self, error: Exception) -> Outcome:
        """The outcome of an attempt that ended in a way that is not foreseen."""
        reason = f"unexpected {type(error).__name__} while talking to Sedna; see the log"
        if self.marked and self.sync.rec_id is None:
            return Unknown(reason)
        return Passing(reason)

    async def _mark(self) -> None:
        await self.mark(self.sync)
        self.marked = True

    async def _reservation(self, data: ReservationCreated) -> Outcome:
        account = self.account
        hotel = await resolve_hotel(account, data)
        room = await resolve_room(account, hotel, data.room_type)
        board = await resolve_board(account, data.board_type)
        countries = await account.catalogue.countries()
        # Before the mark: a login that fails leaves nothing to be cleared.
        await account.client.login()
        await self._mark()
        rec_id = await account.client.insert_reservation(
            reservation=data,
            hotel_id=hotel.id,
            room_type_id=room.id,
            board_id=board.id,
            nationality_ids=countries,
            declared_on=self._declared_on(),
            traceparent=self.sync.traceparent,
        )
        return Done(rec_id, hotel.id, message=f"reservation {data.voucher_no} at {hotel.name}")

    async def _stop_sale(self, data: StopSaleCreated) -> Outcome:
        account, sync = self.account, self.sync
        hotel = await resolve_hotel(account, data)
        if not self.in_lane(sync, hotel):
            raise OtherLane(hotel)
        rooms = [await resolve_room(account, hotel, text) for text in data.room_types]
        boards = [await resolve_board(account, text) for text in data.board_types]
        room_types = [(room.id, room.code) for room in rooms]
        board_types = [(board.id, board.code) for board in boards]
        await account.client.login()
        if sync.rec_id is None:
            await self._mark()
            rec_id = await account.client.open_stop_sale(
                stop_sale=data,
                hotel_id=hotel.id,
                room_types=room_types,
                boards=board_types,
                declared_on=self._declared_on(),
                traceparent=sync.traceparent,
            )
            # Before step 2: from here on a crash leads back to this record, and to no second one.
            await self.record_step_one(sync, rec_id, hotel.id)
            sync.rec_id = rec_id
        await account.client.complete_stop_sale(
            sync.rec_id,
            stop_sale=data,
            hotel_id=hotel.id,
            room_types=room_types,
            boards=board_types,
            declared_on=self._declared_on(),
            traceparent=sync.traceparent,
        )
        what = "closed" if data.is_close else "opened"
        return Done(
            sync.rec_id, hotel.id, message=f"{hotel.name} {what} {data.date_from}..{data.date_to}"
        )

    def _declared_on(self) -> date:
        return (self.sync.event_time or self.sync.registered_at).date()

    def _outcome_of(self, error: errors.SednaError) -> Outcome:
        reason = str(error)
        match error:
            case errors.OutcomeUnknown():
                return Unknown(reason)
            case errors.RefusedBySedna(error_type=error_type, status=status):
                return Refused(
                    ErrorCode.REFUSED_BY_SEDNA,
                    f"Sedna refused it: {reason}",
                    {"sedna_message": reason, "error_type": error_type, "status": status},
                )
            case errors.Throttled(retry_after=retry_after):
                return Passing(reason, retry_after)
            case errors.LoginRefused(retry_after=retry_after):
                # Once marked it was an attempt, and the mark has to be cleared.
                return Passing(reason, retry_after) if self.marked else Blocked(reason, retry_after)
            case _:
                return Passing(reason)

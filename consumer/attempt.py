"""One attempt at Sedna: resolve, mark, send. Says what it came to, and decides nothing.

A create is sent only after its mark is in Postgres. Here, and only here, errors become outcomes.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import assert_never

from consumer.accounts import Account
from consumer.doubt import Absent, Adopt, Undecided, conclude
from consumer.lookup import Seen, look_for_reservation, look_for_stop_sale
from consumer.outcome import Done, Outcome, Passing, Paused, Refused, Unknown
from consumer.resolving import Unresolvable, resolve_board, resolve_hotel, resolve_room
from consumer.sedna import errors
from consumer.sedna.matching import Hotel
from consumer.sedna.wire_stop_sale import IdAndCode
from consumer.superseding import Notice
from consumer.sync import Sync
from schemas.inbound import ReservationCreated, StopSaleCreated
from schemas.outcomes import ErrorCode


class NotOurTurn(Exception):
    """The dispatch mark was refused: nothing was sent."""


class NotOurs(Exception):
    """Somebody else works on the sync by now, and settles what was sent, if anything was."""


class TooLate(Exception):
    """This process stood still, or lost sight of Postgres: somebody else may have taken over."""


class OtherLane(Exception):
    """The stop sale is of another hotel than its lane: nothing was sent."""

    def __init__(self, hotel: Hotel) -> None:
        super().__init__(f"hotel {hotel.id}")
        self.hotel = hotel


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What an attempt may ask the processor for."""

    #: Marks the sync as dispatched to a hotel in Postgres; raises `NotOurTurn` if that was refused,
    #: and `NotOurs`.
    #: Returns until when, on the clock `elapsed`, the create may be written.
    mark: Callable[[Sync, int], Awaitable[float]]
    #: Whether the sync's partition is surely ours until a request that is sent now has ended.
    may_send: Callable[[Sync], bool]
    #: Stores the record that step 1 of a stop sale made: (sync, record id, hotel id); raises
    #: `NotOurs`.
    record_step_one: Callable[[Sync, int, int], Awaitable[None]]
    #: Whether a stop sale of this hotel may run in the lane that the sync is in.
    in_lane: Callable[[Sync, Hotel], bool]
    #: Which stop sale of this hotel stands behind a replayed one and is synced; None: none.
    overtaken_by: Callable[[Sync, StopSaleCreated, Hotel], Awaitable[Notice | None]]
    now: Callable[[], datetime]
    elapsed: Callable[[], float]  #: seconds, going on while the machine sleeps
    doubt_window: timedelta


@dataclass(slots=True)
class Attempt:
    """One attempt at one sync, and how far it has come."""

    sync: Sync
    account: Account
    tools: Tools
    marked: bool = False
    write_before: float = 0.0  #: on the clock `elapsed`
    #: Whether Sedna has proven that it lacks what was in doubt.
    absent: bool = False
    #: Whether the account's gate counts it among those that wait for their turn.
    admitted: bool = False
    #: How often the account's breaker had opened when the attempt began.
    opening: int = field(init=False)

    def __post_init__(self) -> None:
        self.opening = self.account.gate.opening

    def turn_over(self) -> None:
        """It has had its turn in the account's request rate, or ends without."""
        if self.admitted:
            self.admitted = False
            self.account.gate.turn_taken()

    async def run(self) -> Outcome:
        """Make the attempt; who is in doubt begins with the question, never with a create.

        Raises:
            NotOurTurn, OtherLane: nothing was sent; see there.
            NotOurs: see there.
        """
        try:
            outcome = await self._run()
        except Unresolvable as error:
            outcome = error.refused
        except errors.SednaError as error:
            outcome = self._outcome_of(error)
        except TooLate as error:
            outcome = Passing(str(error))
        return self._still_unknown(outcome)

    def after(self, error: Exception) -> Outcome:
        """The outcome of an attempt that ended in a way that is not foreseen."""
        reason = f"unexpected {type(error).__name__} while talking to Sedna; see the log"
        if self.marked and self.sync.rec_id is None:
            return Unknown(reason)
        return self._still_unknown(Passing(reason))

    def _still_unknown(self, outcome: Outcome) -> Outcome:
        """A doubt ends by what Sedna has, and not because the question could not be asked."""
        if self.sync.doubted and not self.absent and isinstance(outcome, Passing | Refused):
            reason = outcome.reason if isinstance(outcome, Passing) else outcome.message
            return Unknown(f"Sedna could not be asked: {reason}")
        return outcome

    async def _run(self) -> Outcome:
        data = self.sync.data
        match data:
            case ReservationCreated():
                if self.sync.doubted:
                    outcome = await self._doubted_reservation(data)
                    if outcome is not None:
                        return outcome
                return await self._reservation(data)
            case StopSaleCreated():
                if self.sync.doubted:
                    outcome = await self._doubted_stop_sale(data)
                    if outcome is not None:
                        return outcome
                return await self._stop_sale(data)
            case None:
                return Refused(
                    ErrorCode.INVALID_EVENT,
                    "what is stored of this event cannot be read by this release: publish it again",
                )
            case never:
                assert_never(never)

    # -- doubt --------------------------------------------------------------------------------

    async def _doubted_reservation(self, data: ReservationCreated) -> Outcome | None:
        """Ask Sedna for what was perhaps made; None: it surely does not have it."""
        sync = self.sync
        sent = sync.sent if isinstance(sync.sent, ReservationCreated) else data
        hotel_id = sync.hotel_id or (await resolve_hotel(self.account, sent)).id
        looked_at = self.tools.now()
        seen = await look_for_reservation(self.account, sent, hotel_id=hotel_id)
        found = self._conclude(seen, looked_at)
        if not isinstance(found, Adopt):
            return found
        return Done(
            found.rec_id,
            hotel_id,
            adopted=True,
            conflict=sync.sent is not None,
            message=f"reservation {sent.voucher_no} was found in Sedna",
        )

    async def _doubted_stop_sale(self, data: StopSaleCreated) -> Outcome | None:
        """As for a reservation; what is found is completed by step 2."""
        sync = self.sync
        sent = sync.sent if isinstance(sync.sent, StopSaleCreated) else data
        hotel = await resolve_hotel(self.account, sent)
        hotel_id = sync.hotel_id or hotel.id
        room_types, boards = await self._children(hotel, sent)
        looked_at = self.tools.now()
        seen = await look_for_stop_sale(
            self.account,
            sent,
            hotel_id=hotel_id,
            room_types=room_types,
            boards=boards,
        )
        found = self._conclude(seen, looked_at)
        if not isinstance(found, Adopt):
            return found
        await self.tools.record_step_one(sync, found.rec_id, hotel_id)
        sync.rec_id = found.rec_id
        return await self._complete(sent, hotel, room_types, boards, found.rec_id)

    def _conclude(self, seen: Seen, looked_at: datetime) -> Adopt | Unknown | None:
        """What a look has proven; None: Sedna surely does not have it."""
        if self.sync.in_doubt_since is None:
            raise RuntimeError(f"sync {self.sync.id} is not in doubt")
        conclusion = conclude(
            seen.matches,
            skipped=seen.skipped,
            since=self.sync.in_doubt_since,
            looked_at=looked_at,
            doubt_window=self.tools.doubt_window,
        )
        match conclusion:
            case Adopt():
                return conclusion
            case Undecided(reason):
                return Unknown(reason)
            case Absent():
                self.absent = True
                return None
            case never:
                assert_never(never)

    # -- creating -----------------------------------------------------------------------------

    async def _reservation(self, data: ReservationCreated) -> Outcome:
        account = self.account
        hotel = await resolve_hotel(account, data)
        room = await resolve_room(account, hotel, data.room_type)
        board = await resolve_board(account, data.board_type)
        countries = await account.catalogue.countries()
        # Before the mark: a login that fails leaves nothing to be cleared.
        await account.client.login()
        await self._mark(hotel)
        rec_id = await account.client.insert_reservation(
            reservation=data,
            hotel_id=hotel.id,
            room_type_id=room.id,
            board_id=board.id,
            nationality_ids=countries,
            declared_on=self._declared_on(),
            before_write=self._still_fresh,
        )
        return Done(rec_id, hotel.id, message=f"reservation {data.voucher_no} at {hotel.name}")

    async def _stop_sale(self, data: StopSaleCreated) -> Outcome:
        account, sync = self.account, self.sync
        if sync.rec_id is not None and isinstance(sync.sent, StopSaleCreated):
            data = sync.sent  # found after a doubt, and not completed yet
        hotel = await resolve_hotel(account, data)
        if not self.tools.in_lane(sync, hotel):
            raise OtherLane(hotel)
        if sync.of_replay and sync.rec_id is None and not sync.doubted:
            later = await self.tools.overtaken_by(sync, data, hotel)
            if later is not None:
                return _superseded(sync, later, hotel)
        room_types, boards = await self._children(hotel, data)
        await account.client.login()
        if sync.rec_id is None:
            await self._mark(hotel)
            rec_id = await account.client.open_stop_sale(
                stop_sale=data,
                hotel_id=hotel.id,
                room_types=room_types,
                boards=boards,
                declared_on=self._declared_on(),
                before_write=self._still_fresh,
            )
            # Before step 2: from here on a crash leads back to this record, and to no second one.
            await self.tools.record_step_one(sync, rec_id, hotel.id)
            sync.rec_id = rec_id
        return await self._complete(data, hotel, room_types, boards, sync.rec_id)

    async def _complete(
        self,
        data: StopSaleCreated,
        hotel: Hotel,
        room_types: Sequence[IdAndCode],
        boards: Sequence[IdAndCode],
        rec_id: int,
    ) -> Outcome:
        await self.account.client.complete_stop_sale(
            rec_id,
            stop_sale=data,
            hotel_id=hotel.id,
            room_types=room_types,
            boards=boards,
            declared_on=self._declared_on(),
            before_write=self._still_ours,
        )
        what = "closed" if data.is_close else "opened"
        return Done(
            rec_id,
            hotel.id,
            adopted=self.sync.in_doubt_since is not None,
            conflict=self.sync.sent is not None,
            message=f"{hotel.name} {what} {data.date_from}..{data.date_to}",
        )

    async def _children(
        self, hotel: Hotel, data: StopSaleCreated
    ) -> tuple[list[IdAndCode], list[IdAndCode]]:
        rooms = [await resolve_room(self.account, hotel, text) for text in data.room_types]
        boards = [await resolve_board(self.account, text) for text in data.board_types]
        return (
            [(room.id, room.code) for room in rooms],
            [(board.id, board.code) for board in boards],
        )

    async def _mark(self, hotel: Hotel) -> None:
        # Both before the mark: it must not grow stale in a queue, and what is marked is sent.
        await self.account.gate.turn()
        self.turn_over()
        self.account.gate.check(self.opening)
        self.write_before = await self.tools.mark(self.sync, hotel.id)
        self.marked = True

    def _still_fresh(self) -> None:
        """Called right before a create's first byte, and the last word on whether it goes out."""
        late = self.tools.elapsed() - self.write_before
        if late > 0:
            raise TooLate(
                f"not sent: the process stood still after the mark, {late:.1f} s too long"
            )
        self._still_ours()

    def _still_ours(self) -> None:
        """Called right before the first byte of whatever changes something at Sedna."""
        if not self.tools.may_send(self.sync):
            raise TooLate(
                "not sent: the lease on the partition might run out before the request has ended"
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
            case errors.LoginRefused() | errors.AccountPaused():
                # Once marked it was an attempt, and the mark has to be cleared.
                return Passing(reason) if self.marked else Paused(reason)
            case _:
                return Passing(reason)


def _superseded(sync: Sync, by: Notice, hotel: Hotel) -> Refused:
    return Refused(
        ErrorCode.SUPERSEDED,
        f"stop sale {by.stop_sale_id} of {by.first_day}..{by.last_day} came later and is synced, "
        f"and this replayed one would undo it: `sedna-sync retry --id {sync.id} --force` sends it "
        f"all the same",
        {
            "superseded_by": {"stop_sale_id": by.stop_sale_id, "sync_id": by.sync_id},
            "hotel_id": hotel.id,
            "hotel_name": hotel.name,
        },
    )

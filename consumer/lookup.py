"""The question behind a doubt: which of Sedna's records is the one that was perhaps made?

It asks and compares; what the answer proves is decided by :mod:`consumer.doubt`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from consumer.accounts import Account
from consumer.sedna import assumptions
from consumer.sedna.recognise import reservation_matches, stop_sale_matches
from consumer.sedna.wire_stop_sale import IdAndCode, remark, stop_type
from schemas.inbound import ReservationCreated, StopSaleCreated


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look has found."""

    matches: tuple[int, ...]  #: ids of the records that are the one in question
    skipped: int  #: elements of the answer that could not be read


async def look_for_reservation(
    account: Account, sent: ReservationCreated, *, hotel_id: int
) -> Seen:
    """Ask by voucher, and by our own reference where that finds nothing.

    Raises:
        SednaError: Sedna did not answer the question.
    """
    source_id = assumptions.source_id(sent.email_id)
    found = await account.client.find_reservations(voucher=sent.voucher_no, source_id=source_id)
    matches = tuple(
        record.rec_id
        for record in found.items
        if reservation_matches(
            record,
            voucher=sent.voucher_no,
            source_id=source_id,
            hotel_id=hotel_id,
            check_in=sent.check_in,
            check_out=sent.check_out,
        )
    )
    return Seen(matches, found.skipped)


async def look_for_stop_sale(
    account: Account,
    sent: StopSaleCreated,
    *,
    hotel_id: int,
    room_types: Sequence[IdAndCode],
    boards: Sequence[IdAndCode],
) -> Seen:
    """Ask by hotel and days, and compare type, remarks and recorder.

    Raises:
        SednaError: Sedna did not answer the question.
    """
    found = await account.client.find_stop_sales(
        hotel_id=hotel_id, begin=sent.date_from, end=sent.date_to
    )
    matches = tuple(
        record.rec_id
        for record in found.items
        if stop_sale_matches(
            record,
            hotel_id=hotel_id,
            begin=sent.date_from,
            end=sent.date_to,
            stop_type=stop_type(sent),
            room_remark=remark(room_types),
            board_remark=remark(boards),
            record_user=assumptions.record_user(sent.stop_sale_id),
        )
    )
    return Seen(matches, found.skipped)

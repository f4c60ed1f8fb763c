"""Tells whether a record that Sedna lists is the one that a lost reply may have made.

Pure. Whether Sedna's filters are exact is unknown (A), so everything is compared again here. What a
record does not tell does not speak against it: adopting a record of the same voucher costs less
than making it twice. What it does tell must agree.
"""

from datetime import date

from consumer.sedna.lists import ReservationRecord, StopSaleRecord


def reservation_matches(
    record: ReservationRecord,
    *,
    voucher: str,
    source_id: str,
    hotel_id: int,
    check_in: date,
    check_out: date,
) -> bool:
    """Tell whether a record is this reservation.

    The same voucher is needed; then either our own reference, however Sedna's users have moved the
    stay since, or the same stay under another reference, as after a corrected event or where an
    agent typed it in. Vouchers agree also where they differ in case only.
    """
    ours = _same(record.source_id, source_id)
    if record.voucher is None:
        return ours
    if not _same(record.voucher, voucher):
        return False
    return ours or (
        record.hotel_id in {None, hotel_id}
        and record.check_in in {None, check_in}
        and record.check_out in {None, check_out}
    )


def stop_sale_matches(
    record: StopSaleRecord,
    *,
    hotel_id: int,
    begin: date,
    end: date,
    stop_type: int,
    room_remark: str,
    board_remark: str,
    record_user: str,
) -> bool:
    """Tell whether a record is this stop sale: hotel, days, type, and who recorded it (A).

    `RecordUser` names the stop sale; where the list does not repeat it, the remarks must agree.
    """
    if (
        record.hotel_id not in {None, hotel_id}
        or record.begin not in {None, begin}
        or record.end not in {None, end}
        or record.stop_type not in {None, stop_type}
    ):
        return False
    if record.record_user is not None:
        return _same(record.record_user, record_user)
    return _same_remark(record.room_remark, room_remark) and _same_remark(
        record.board_remark, board_remark
    )


def _same(one: str | None, other: str) -> bool:
    return one is not None and _loosely(one) == _loosely(other)


def _loosely(text: str) -> str:
    return " ".join(text.split()).casefold()


def _same_remark(one: str | None, other: str) -> bool:
    """A: Sedna may add or drop spaces and a trailing comma; an untold remark says nothing."""
    return one is None or _codes(one) == _codes(other)


def _codes(remark: str) -> list[str]:
    return [code for part in remark.split(",") if (code := _loosely(part))]

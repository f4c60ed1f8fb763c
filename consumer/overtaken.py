"""Whether a replayed stop sale was overtaken, asked right before it would be sent.

An event that is read again is registered long after those that followed it in the topic, so its
place in the work says nothing about which came later: its place in the topic does. It asks
Postgres; what concerns the same rooms is decided by :mod:`consumer.superseding`.
"""

from pydantic import ValidationError

from consumer.persistence import persistently
from consumer.sedna.matching import Hotel
from consumer.superseding import Notice, first_touching, notice_of
from consumer.sync import Sync, stop_sale_lane
from db import work
from db.pool import Pool
from db.records import SyncedStopSale
from schemas.inbound import StopSaleCreated

#: Stop sales behind it, and of the same days, whose rooms and boards are compared: the last ones.
_COMPARED = 500


async def overtaken_by(
    pool: Pool, sync: Sync, data: StopSaleCreated, hotel: Hotel
) -> Notice | None:
    """The last synced stop sale behind this one that concerns the same rooms on the same days."""
    found = await persistently(
        lambda: work.synced_behind(
            pool,
            sync.tenant_id,
            lane=stop_sale_lane(hotel.id),
            hotel_id=hotel.id,
            origin=sync.origin,
            event_time=sync.event_time,
            first_day=data.date_from,
            last_day=data.date_to,
            limit=_COMPARED,
        ),
        what="asking what has overtaken a replayed stop sale",
    )
    hotel_ids = frozenset({hotel.id})
    ours = notice_of(
        data,
        sync_id=sync.id,
        stop_sale_id=data.stop_sale_id,
        arrival=sync.seq,
        is_pending=True,
        hotel_ids=hotel_ids,
    )
    behind = (_notice(each, hotel_ids) for each in found)
    return first_touching(ours, (notice for notice in behind if notice is not None))


def _notice(stored: SyncedStopSale, hotel_ids: frozenset[int]) -> Notice | None:
    try:
        data = StopSaleCreated.from_json(stored.payload)
    except ValidationError:
        return None
    return notice_of(
        data,
        sync_id=stored.id,
        stop_sale_id=stored.stop_sale_id,
        arrival=0,
        is_pending=False,
        hotel_ids=hotel_ids,
    )

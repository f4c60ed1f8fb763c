"""Reads the four histories of a chaos run, once everything has come to rest."""

from collections.abc import Iterable, Iterator, Mapping

from consumer.demo.fake import FakeSedna
from consumer.demo.fake.journal import Entry
from consumer.demo.observed import Place, read_answer, read_dead_letter
from schemas.kinds import Kind
from tests.chaos.histories import Arrival, Histories, Identity, Published, Record, Row
from tests.chaos.workload import Event, Meaning
from tests.support import kafka_clients
from tests.support.service import World

_RECORD_USER = "sedna-sync:"


async def gather(here: World, events: Iterable[Event]) -> Histories:
    """All that is known of a run; the input topics themselves say what was published.

    Raises:
        KeyError: an input topic holds something that is none of these events.
    """
    meanings = {event.value: event.meaning for event in events}
    topics = here.topics
    answers = await kafka_clients.read_all(here.kafka, topics.synced, topics.failed)
    letters = await kafka_clients.read_all(here.kafka, topics.deadletter)
    return Histories(
        published=await _published(here, meanings),
        records=list(_records(here.fake)),
        arrivals=list(_arrivals(here.fake)),
        rows=await _rows(here),
        rejected=[
            Place(*row)
            for row in await here.query(
                "SELECT origin_topic, origin_partition, origin_offset FROM rejections"
            )
        ],
        answers=[read_answer(record.value or b"") for record in answers],
        dead_letters=[
            read_dead_letter(record.key, record.value, record.headers) for record in letters
        ],
        unpublished=await here.value("SELECT count(*) FROM outbox"),
        unread=await here.lag(),
    )


async def _published(here: World, meanings: Mapping[bytes, Meaning]) -> list[Published]:
    records = await kafka_clients.read_all(
        here.kafka, here.topics.reservations, here.topics.stop_sales
    )
    return [
        Published(
            place=Place(record.topic, record.partition, record.offset),
            meaning=meanings[record.value or b""],
        )
        for record in records
    ]


def _records(fake: FakeSedna) -> Iterator[Record]:
    for name, account in fake.state.accounts.items():
        for made in account.reservations.records:
            yield Record(
                identity=(name, Kind.RESERVATION, made.voucher),
                rec_id=made.rec_id,
                hotel_id=made.body["HotelId"],
                order=made.stamp.order,
            )
        for record in account.stop_sales.records.values():
            yield Record(
                identity=(name, Kind.STOP_SALE, _number(record.record_user)),
                rec_id=record.rec_id,
                hotel_id=record.body["HotelId"],
                order=record.stamp.order,
                finished=record.visible,
            )


def _arrivals(fake: FakeSedna) -> Iterator[Arrival]:
    for entry in fake.requests("UpdateStopSale"):
        if entry.step == 1 and entry.account is not None and entry.hotel_id is not None:
            yield Arrival(
                identity=(entry.account, Kind.STOP_SALE, _number(entry.record_user or "")),
                hotel_id=entry.hotel_id,
                request=entry.request,
            )


async def _rows(here: World) -> list[Row]:
    rows = await here.query(
        "SELECT id, tenant_id, kind, business_key, state, in_doubt_since, sedna_rec_id, error_code "
        "FROM syncs"
    )
    return [
        Row(
            sync_id=row["id"],
            identity=(row["tenant_id"], Kind(row["kind"]), row["business_key"]),
            state=row["state"],
            in_doubt=row["in_doubt_since"] is not None,
            rec_id=row["sedna_rec_id"],
            error_code=row["error_code"],
        )
        for row in rows
    ]


def calls_about(fake: FakeSedna, identity: Identity) -> list[Entry]:
    """What Sedna was asked about one piece of work."""
    tenant, _, item = identity
    return [
        entry
        for entry in fake.journal.entries
        if entry.account == tenant
        and (entry.voucher == item or entry.record_user == f"{_RECORD_USER}{item}")
    ]


def _number(record_user: str) -> str:
    return record_user.removeprefix(_RECORD_USER)

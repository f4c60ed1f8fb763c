"""From aiokafka's records to ours, so that what judges them need not know aiokafka."""

from datetime import UTC, datetime

from aiokafka import ConsumerRecord

from consumer.arrivals import Record
from db.records import Origin
from schemas.kinds import Kind


def plain(kind: Kind, record: ConsumerRecord) -> Record:
    """A record of a topic of this kind."""
    stamp = record.timestamp
    return Record(
        kind=kind,
        origin=Origin(topic=record.topic, partition=record.partition, offset=record.offset),
        timestamp=_time(stamp),
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )


def _time(milliseconds: int | None) -> datetime | None:
    if milliseconds is None or milliseconds < 0:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # producers may set any number
        return None

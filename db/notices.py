"""What Postgres tells running services of, once the transaction that did it is committed.

A notice can be missed while a connection is away: whoever acts on one must also find by itself,
some time later, what it was about.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from db.errors import translated
from db.pool import Connection, connect
from db.records import Stream
from schemas.kinds import Kind

#: Seconds between two signs of life of the listening connection: a dead peer says nothing itself.
_PING_SECONDS = 10.0


class Channel(StrEnum):
    """What there are notices of."""

    TENANT_CHANGED = "sedna_sync_tenant_changed"  #: a tenant's settings or mappings; its id
    WORK = "sedna_sync_work"  #: there is work that its owner does not know of; see `stream_of`


def payload_of(stream: Stream) -> str:
    """A stream as a notice names it: the live and the replayed one alike."""
    return f"{stream.kind.value}:{stream.partition}:{stream.tenant_id}"


def stream_of(payload: str) -> Stream | None:
    """The live stream that a notice names, which stands for both; None if it names none."""
    kind, _, rest = payload.partition(":")
    partition, _, tenant_id = rest.partition(":")
    try:
        return Stream(Kind(kind), int(partition), tenant_id)
    except ValueError:
        return None


async def tell(connection: Connection, streams: Iterable[Stream]) -> None:
    """Let whoever owns these streams hear, once the open transaction is committed."""
    payloads = sorted({payload_of(stream) for stream in streams})
    if payloads:
        await connection.execute(
            "SELECT pg_notify($1, stream) FROM unnest($2::text[]) AS stream",
            Channel.WORK.value,
            payloads,
        )


async def listen(
    database_url: str,
    *,
    on_notice: Mapping[Channel, Callable[[str], None]],
    on_connected: Callable[[], None],
) -> None:
    """Report notices until the connection breaks.

    Args:
        database_url: LISTEN needs a session of its own (no transaction pooler in between).
        on_notice: called with a notice's payload, by channel.
        on_connected: called once reports come in; what happened before is not reported.

    Raises:
        DatabaseUnavailable: the connection cannot be made or broke; call again.
    """
    connection = await connect(database_url)

    def report(_connection: object, _pid: int, channel: str, payload: object) -> None:
        on_notice[Channel(channel)](str(payload))

    try:
        with translated():
            for channel in on_notice:
                await connection.add_listener(channel.value, report)
            on_connected()
            while True:
                await asyncio.sleep(_PING_SECONDS)
                await connection.execute("SELECT 1", timeout=_PING_SECONDS)
    finally:
        connection.terminate()

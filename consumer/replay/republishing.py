"""Results that were published before, as messages for the outbox."""

from collections.abc import Iterable

from consumer.results import Topics, answer_again
from db import replays
from db.pool import Connection, Pool
from db.records import Message


async def results_again(
    connection: "Pool | Connection", settled: Iterable[tuple[str, int]], topics: Topics
) -> list[Message]:
    """The results of settled syncs, with the ids that they had.

    Args:
        connection: to read by.
        settled: (tenant id, sync id). What was settled by hand has no result, and is left out.
        topics: where results go.
    """
    messages = []
    for stored in await replays.results(connection, settled):
        answer = answer_again(stored, topics=topics)
        if answer is not None:
            messages.append(
                Message(
                    kind=stored.kind,
                    partition=stored.origin.partition,
                    tenant_id=stored.tenant_id,
                    topic=answer.topic,
                    key=stored.tenant_id.encode(),
                    value=answer.value,
                    headers=answer.headers,
                )
            )
    return messages

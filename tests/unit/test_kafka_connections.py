"""A connection to Kafka that broke is known as such under uvloop, too."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from consumer.kafka_connections import Connection

Send = Callable[[AIOKafkaConnection], object]
SENDS: dict[str, Send] = {
    "request": lambda connection: connection.send(MetadataRequest([])),
    "token": lambda connection: connection._send_sasl_token(b"token"),
}


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def send_over_a_closed_one(make: type[AIOKafkaConnection], send: Send) -> None:
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = make("127.0.0.1", port)
    connection._versions = {MetadataRequest([]).API_KEY: (0, 1)}
    connection._reader, connection._writer = await asyncio.open_connection("127.0.0.1", port)
    connection._read_task = asyncio.create_task(asyncio.sleep(0))
    await connection._reader.read()
    connection._writer.close()
    await connection._writer.wait_closed()
    server.close()
    await server.wait_closed()
    try:
        send(connection)
    finally:
        connection._reader = None


def under_uvloop(make: type[AIOKafkaConnection], name: str) -> None:
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(send_over_a_closed_one(make, SENDS[name]))
    finally:
        loop.close()


@pytest.mark.parametrize("name", SENDS)
def test_what_is_sent_over_a_closed_connection_is_a_connection_error(name: str) -> None:
    with pytest.raises(KafkaConnectionError, match="broken"):
        under_uvloop(Connection, name)


@pytest.mark.parametrize("name", SENDS)
def test_aiokafka_itself_takes_it_for_a_mistake(name: str) -> None:
    with pytest.raises(RuntimeError, match="closed"):
        under_uvloop(AIOKafkaConnection, name)

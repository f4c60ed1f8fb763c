"""The ways to a Kafka. It is a real one in each: librdkafka's mock knows no rebalance."""

import base64
import contextlib
import logging
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from consumer.demo.embedded_postgres import free_port
from consumer.demo.guardian import Guarded, Server
from tests.support.broker import SETTINGS, SideDoor, listeners
from tests.support.containers import container
from tests.support.java import java
from tests.support.kafka_jars import jars
from tests.support.servers import SharedServer, Unavailable, from_environment

_START_SECONDS = 60.0
_POLL_SECONDS = 0.5
_PORT_TRIES = 3
_STORAGE_TOOL, _BROKER = "kafka.tools.StorageTool", "kafka.Kafka"
_JVM = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]


def kafka_server() -> SharedServer:
    """A Kafka, not started yet; its address is what clients call bootstrap servers."""
    return SharedServer(
        "Kafka",
        [
            lambda: from_environment("SEDNA_SYNC_TEST_KAFKA_BOOTSTRAP_SERVERS"),
            lambda: container("kafka"),
            _from_jars,
        ],
    )


@contextlib.contextmanager
def _from_jars() -> Iterator[str]:
    program, classes = java(), jars()
    output = ""
    for _ in range(_PORT_TRIES):
        folder = Path(tempfile.mkdtemp(prefix="sedna-sync-kafka-"))
        address = f"127.0.0.1:{(port := free_port())}"
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        with Guarded(
            server_spec(program, classes, folder=folder, port=port, cluster=cluster)
        ) as guarded:
            if answers(guarded, address, cluster=cluster):
                yield address
                return
            output = guarded.close()
    raise Unavailable(f"Kafka did not start: {output or 'it said nothing'}")


def server_spec(
    program: Path,
    classes: Path,
    *,
    folder: Path,
    port: int,
    cluster: str,
    side_door: SideDoor | None = None,
) -> Server:
    """What a guardian is to run: the formatting of a data folder in `folder`, then the broker."""
    address = f"127.0.0.1:{port}"
    where = listeners(
        host="127.0.0.1",
        port=port,
        controller=free_port(),
        advertised=address,
        side_door=side_door,
    )
    settings = SETTINGS | where | {"log.dirs": str(folder / "data")}
    properties = folder / "server.properties"
    properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    run = [str(program), *_JVM, "-cp", f"{classes}/*"]
    return Server(
        commands=[
            [*run, _STORAGE_TOOL, "format", "-t", cluster, "-c", str(properties)],
            [*run, _BROKER, str(properties)],
        ],
        folder=folder,
        env={},
    )


def answers(guarded: Guarded, address: str, *, cluster: str) -> bool:
    """Wait until the broker of this cluster answers; False if it did not come up."""
    # librdkafka, since aiokafka leaves connections open when it meets a broker that is half up.
    client = AdminClient(
        {"bootstrap.servers": address, "reconnect.backoff.max.ms": 200}, logger=_silent()
    )
    deadline = time.monotonic() + _START_SECONDS
    while guarded.running() and time.monotonic() < deadline:
        with contextlib.suppress(KafkaException):
            # Another Kafka may have taken the port meanwhile.
            return bool(client.list_topics(timeout=_POLL_SECONDS).cluster_id == cluster)
    return False


def _silent() -> logging.Logger:
    """For the refused connections of a broker that is not up yet."""
    logger = logging.getLogger(f"{__name__}.probe")
    logger.disabled = True
    return logger

"""The settings of the one-node Kafka that tests use, wherever it runs."""

from dataclasses import dataclass

#: The same as in tests/support/maven/pom.xml.
VERSION = "4.3.1"

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # A test that names a topic wrongly should hear of it.
    "auto.create.topics.enable": "false",
    # One node has no second copy.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    # Tests should not wait for members that may come, nor long for one that was killed.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    # Nor for the compaction of a topic that is compacted.
    "log.cleaner.backoff.ms": "200",
}


@dataclass(frozen=True, slots=True)
class SideDoor:
    """A second listener, for clients that are to come through a proxy."""

    port: int  #: where the node listens for them
    advertised: str  #: host:port of the proxy, which they are told


def listeners(
    *, host: str, port: int, controller: int, advertised: str, side_door: SideDoor | None = None
) -> dict[str, str]:
    """Where the node listens, and which address (`host:port`) clients are told."""
    settings = {
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{advertised}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
    }
    if side_door is not None:
        settings["listeners"] += f",SIDE://{host}:{side_door.port}"
        settings["advertised.listeners"] += f",SIDE://{side_door.advertised}"
        settings["listener.security.protocol.map"] = (
            SETTINGS["listener.security.protocol.map"] + ",SIDE:PLAINTEXT"
        )
    return settings

"""A Kafka broker inside this process, for the demo: librdkafka's mock.

It speaks the real protocol and knows produce, fetch, one consumer per group, commits and look-ups
by time. It must never serve where rebalances or durability matter: a second member of a group makes
it fail, and everything in it is lost when it stops.
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence

from confluent_kafka import Producer

#: What the mock gives every topic; it has no call to choose another number.
PARTITIONS = 4
_ANSWER_SECONDS = 10.0
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def embedded_broker(topics: Sequence[str]) -> Iterator[str]:
    """Gives the bootstrap servers of a broker with these topics, `PARTITIONS` partitions each.

    Blocks for some milliseconds. The broker runs in librdkafka's own threads until the context is
    left.

    Raises:
        confluent_kafka.KafkaException: the broker does not answer.
    """
    # "bootstrap.servers" must be there and is not used: the mock puts its own address in its place.
    owner = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1}, logger=_log)
    brokers = owner.list_topics(timeout=_ANSWER_SECONDS).brokers.values()
    for topic in topics:
        owner.list_topics(topic, timeout=_ANSWER_SECONDS)  # to ask for a topic is to make it
    try:
        yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    finally:
        # The mock lives as long as its producer.
        del owner

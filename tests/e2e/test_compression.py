"""Events are read however their producer, or their topic, compresses them."""

from confluent_kafka import Producer

from tests.e2e.conftest import WorldFactory
from tests.support.events import account, reservation

CODECS = ["gzip", "snappy", "lz4", "zstd"]


async def test_events_are_read_however_they_are_compressed(world: WorldFactory) -> None:
    async with world([account("a")]) as here:
        await here.start()
        for number, codec in enumerate(CODECS):
            # Upstream's own client: librdkafka, as most that are not written in Java.
            producer = Producer(
                {"bootstrap.servers": here.kafka, "compression.type": codec, "log_level": 0}
            )
            for k in range(20):
                event = reservation("a", 100 * number + k)
                producer.produce(here.topics.reservations, event, "a")
            producer.flush()
        await here.until_settled(20 * len(CODECS))
        assert len(here.fake.holdings("a").vouchers) == 20 * len(CODECS)
        code, out, error = await here.command("replay", "--yes", "--json")
        assert code == 0, error
        assert '"synced": 80' in out.splitlines()[-1]

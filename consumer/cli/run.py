"""`sedna-sync run`: the service, until SIGTERM or SIGINT."""

import asyncio
import gc
import os
import signal
import sys

import click
from aiokafka.errors import KafkaError

from consumer import bootstrap, logs
from consumer.cli.common import load_settings
from consumer.logs import get_logger
from consumer.service import Service
from consumer.settings import Settings, unknown_names
from consumer.watchdog import ConsumerStalled

_log = get_logger(__name__)


@click.command()
def run() -> int:
    """Run the service until SIGTERM or SIGINT; a second signal ends it at once."""
    settings = load_settings("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "ENCRYPTION_KEYS")
    logs.configure(level=settings.log_level, json=settings.log_format == "json")
    for name, similar in unknown_names(os.environ).items():
        _log.warning("unknown_setting", name=name, did_you_mean=similar)
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(_serve(settings))
    except KafkaError as error:
        raise click.ClickException(
            f"Kafka at {settings.kafka_bootstrap_servers}: {type(error).__name__}: {error}; check "
            "SEDNA_SYNC_KAFKA_BOOTSTRAP_SERVERS and the other SEDNA_SYNC_KAFKA_* settings, or run "
            "`sedna-sync doctor`"
        ) from error
    except ConsumerStalled as error:
        raise click.ClickException(f"{error}; start it anew") from error
    return 0


async def _serve(settings: Settings) -> None:
    service = await bootstrap.build(settings)
    _spare_the_collector()
    _stop_on_signals(service)
    await service.run()


def _spare_the_collector() -> None:
    """Look for reference cycles less often: the work makes many objects, and hardly any cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def _stop_on_signals(service: Service) -> None:
    loop = asyncio.get_running_loop()
    told = False

    def on_signal(name: str) -> None:
        nonlocal told
        if told:
            _log.warning("ended_at_once", signal=name)
            # What is in flight is in doubt now; the next start says so.
            os._exit(1)
        told = True
        _log.info("signal", signal=name)
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number.name)


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # noqa: PLC0415  # there is none for Windows

    return uvloop.new_event_loop()

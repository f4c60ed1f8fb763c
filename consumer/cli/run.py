"""`sedna-sync run`: the service, until SIGTERM or SIGINT."""

import asyncio
import os
import signal

import click
from aiokafka.errors import KafkaError

from consumer import bootstrap, logs
from consumer.cli.common import kafka_failed, load_settings, run_fast
from consumer.logs import Lines, get_logger
from consumer.service import Service
from consumer.settings import Settings, secrets_of_tracing, unknown_names
from consumer.watchdog import ConsumerStalled

_log = get_logger(__name__)


@click.command()
def run() -> int:
    """Run the service until SIGTERM or SIGINT; a second signal ends it at once."""
    settings = load_settings("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "ENCRYPTION_KEYS")
    lines = logs.configure(
        level=settings.log_level,
        json=settings.log_format == "json",
        secrets=[*settings.secrets, *secrets_of_tracing(os.environ)],
    )
    for name, similar in unknown_names(os.environ).items():
        _log.warning("unknown_setting", name=name, did_you_mean=similar)
    try:
        run_fast(_serve(settings, lines))
    except KafkaError as error:
        raise kafka_failed(settings, error) from error
    except ConsumerStalled as error:
        raise click.ClickException(f"{error}; start it anew") from error
    finally:
        lines.tell(everything=True)
    return 0


async def _serve(settings: Settings, lines: Lines) -> None:
    service = await bootstrap.build(settings, lines)
    _stop_on_signals(service, lines)
    telling = asyncio.create_task(lines.keep_telling(), name="tell what was left out")
    try:
        await service.run()
    finally:
        telling.cancel()


def _stop_on_signals(service: Service, lines: Lines) -> None:
    loop = asyncio.get_running_loop()
    told = False

    def on_signal(name: str) -> None:
        nonlocal told
        if told:
            lines.tell(everything=True)
            _log.warning("ended_at_once", signal=name)
            # What is in flight is in doubt now; the next start says so.
            os._exit(1)
        told = True
        _log.info("signal", signal=name)
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number.name)

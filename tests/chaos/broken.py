"""The real service with one promise broken, or one moment caught: the harness has to notice.

Run as a script it patches the program in its own process and then runs it. Nothing of the service
knows of this, and no setting of it leads here.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, KafkaError

from consumer import processor
from consumer.attempt import Attempt
from consumer.cli.main import main as sedna_sync
from consumer.outcome import Passing, Unknown
from consumer.registrar import Registrar
from consumer.sedna.transport import SednaTransport

#: Seconds by which a broken service dwells at the point where it is broken, so that random faults
#: meet it there.
_DWELL = 0.5


def broken_program(
    *,
    breaks: str | None = None,
    stop_between_mark_and_send: str | None = None,
    die_before_registering: str | None = None,
) -> list[str]:
    """What to start in place of `sedna-sync`.

    Args:
        breaks: one of `BREAKS`.
        stop_between_mark_and_send: a voucher; the process stops itself (SIGSTOP) once its create is
            marked and before its first byte.
        die_before_registering: a voucher; the process kills itself (SIGKILL) with the batch that
            holds it read and not registered.
    """
    program = [sys.executable, "-m", "tests.chaos.broken"]
    for flag, value in (
        ("--break", breaks),
        ("--stop-between-mark-and-send", stop_between_mark_and_send),
        ("--die-before-registering", die_before_registering),
    ):
        if value is not None:
            program += [flag, value]
    return program


def _patch(owner: Any, name: str, by: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put something in the place of a function, that gets the function."""
    setattr(owner, name, by(getattr(owner, name)))


def _break_doubt() -> None:
    """What was perhaps sent is tried again as if it had surely not been."""

    def forgetful(decide: Callable[..., Any]) -> Callable[..., Any]:
        def decided(outcome: Any, **others: Any) -> Any:
            if isinstance(outcome, Unknown):
                outcome = Passing(outcome.reason)
            return decide(outcome, **others)

        return decided

    _patch(processor, "decide", forgetful)


def _break_lease() -> None:
    """The gate before a create's first byte stands open, however long the process slept."""

    def ungated(send: Callable[..., Any]) -> Callable[..., Any]:
        async def sent(self: SednaTransport, request: Any) -> Any:
            request.extensions.pop("before_write", None)
            return await send(self, request)

        return sent

    def dwelling(mark: Callable[..., Any]) -> Callable[..., Any]:
        async def marked(self: Attempt, *arguments: Any) -> None:
            await mark(self, *arguments)
            await asyncio.sleep(_DWELL)

        return marked

    _patch(SednaTransport, "handle_async_request", ungated)
    _patch(Attempt, "_mark", dwelling)


def _break_commit() -> None:
    """Offsets are committed as soon as events are read, and before they are registered."""

    def hasty(read: Callable[..., Any]) -> Callable[..., Any]:
        async def got(self: Any, *arguments: Any, **options: Any) -> Any:
            records = await read(self, *arguments, **options)
            offsets = {
                partition: some[-1].offset + 1 for partition, some in records.items() if some
            }
            if offsets:
                with contextlib.suppress(KafkaError, IllegalStateError):
                    await self.commit(offsets)
                await asyncio.sleep(_DWELL)
            return records

        return got

    _patch(AIOKafkaConsumer, "getmany", hasty)


def _stop_between_mark_and_send(voucher: str) -> None:
    def stopping(mark: Callable[..., Any]) -> Callable[..., Any]:
        async def marked(self: Attempt, *arguments: Any) -> None:
            await mark(self, *arguments)
            if self.sync.voucher_no == voucher:
                os.kill(os.getpid(), signal.SIGSTOP)

        return marked

    _patch(Attempt, "_mark", stopping)


def _die_before_registering(voucher: str) -> None:
    def dying(register: Callable[..., Any]) -> Callable[..., Any]:
        async def registered(self: Registrar, readable: Any, unreadable: Any) -> Any:
            if any(each.arrival.voucher_no == voucher for each in readable):
                os.kill(os.getpid(), signal.SIGKILL)
            return await register(self, readable, unreadable)

        return registered

    _patch(Registrar, "register", dying)


#: The promises that can be broken.
BREAKS: Mapping[str, Callable[[], None]] = {
    "doubt": _break_doubt,
    "lease": _break_lease,
    "commit": _break_commit,
}


def main() -> None:
    """Patch this process, and then be `sedna-sync`."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.broken", description=__doc__)
    parser.add_argument("--break", dest="broken", choices=sorted(BREAKS))
    parser.add_argument("--stop-between-mark-and-send", metavar="VOUCHER")
    parser.add_argument("--die-before-registering", metavar="VOUCHER")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    if given.stop_between_mark_and_send:
        _stop_between_mark_and_send(given.stop_between_mark_and_send)
    if given.die_before_registering:
        _die_before_registering(given.die_before_registering)
    if given.broken:
        BREAKS[given.broken]()
    sys.argv = ["sedna-sync", *given.command]
    sedna_sync()


if __name__ == "__main__":
    main()

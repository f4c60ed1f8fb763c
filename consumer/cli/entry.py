"""Where `sedna-sync` begins: SIGTERM ends it from here on, before what takes time is loaded.

The first process of a container is not ended by a signal for which it has no handler, and to load
what the commands need takes a second or more. Nothing but the standard library may be imported on
top of this module. What a command does about the signal once it runs is the command's own.
"""

import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> None:
    """Run the command line; never returns."""
    end_on_sigterm()
    from consumer.cli.main import main as command_line  # noqa: PLC0415 - this is what takes time

    command_line()


def end_on_sigterm() -> None:
    """Let SIGTERM end this process, also where it is the first of its container."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    # As a shell tells of a program that has no handler.
    sys.exit(128 + number)

"""Where `sedna-sync` begins: SIGTERM ends it from here on, before what takes time is loaded.

The first process of a container is not ended by a signal for which it has no handler, and to load
what the commands need takes a second or more. Nothing but the standard library may be imported on
top of this module. What a command does about the signal once it runs is the command's own.
"""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Final, NoReturn

#: Seconds that a command may take to clean up.
_GOODBYE: Final = 5.0


def main() -> None:
    """Run the command line; never returns."""
    signal.signal(signal.SIGTERM, _end_at_once)
    from consumer.cli.main import main as command_line  # noqa: PLC0415 - this is what takes time

    end_on_sigterm()
    command_line()


def end_on_sigterm() -> None:
    """Let SIGTERM end this process, also where it is the first of its container."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    # A thread that is in the middle of something would keep the end waiting.
    deadline = threading.Timer(_GOODBYE, _end_at_once, (number, frame))
    deadline.daemon = True
    deadline.start()
    sys.exit(128 + number)


def _end_at_once(number: int, _frame: FrameType | None) -> NoReturn:
    # As a shell tells of a program that has no handler. Nothing is half done while it is loaded.
    os._exit(128 + number)

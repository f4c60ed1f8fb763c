"""A fake Sedna: an HTTP server that behaves as far as Sedna is known, for the demo and the tests.

Never part of the running service, and never to be mistaken for Sedna: see `server`.
"""

from consumer.demo.fake.accounts import (
    Account,
    Board,
    CodeKeys,
    ConfigError,
    Framing,
    Hotel,
    LoginRefusal,
    ReplyShape,
    Room,
)
from consumer.demo.fake.faults import Fault, FaultKind, When
from consumer.demo.fake.records import Holdings
from consumer.demo.fake.server import FakeSedna

__all__ = [
    "Account",
    "Board",
    "CodeKeys",
    "ConfigError",
    "FakeSedna",
    "Fault",
    "FaultKind",
    "Framing",
    "Holdings",
    "Hotel",
    "LoginRefusal",
    "ReplyShape",
    "Room",
    "When",
]

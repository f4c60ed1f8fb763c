"""Mends the one place where aiokafka does not know a broken connection under uvloop.

asyncio's transports take what is written to a connection that is closed, and drop it; uvloop's
raise RuntimeError. aiokafka awaits an OSError there. Anything else it takes for a mistake in
itself, and ends for good what was writing: the group's coordinator, and with it the member.
"""

from typing import Any

import aiokafka.conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class Connection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka is untyped
    """A connection that says that it is broken when it is."""

    def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002  # as
        # aiokafka calls it
        """Send a request.

        Raises:
            KafkaConnectionError: the connection is broken; whoever asked may ask again.
        """
        try:
            return super().send(request, expect_response)
        except RuntimeError as error:
            raise self._broken(error) from error

    def _send_sasl_token(self, payload: bytes, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002  # likewise
        try:
            return super()._send_sasl_token(payload, expect_response)
        except RuntimeError as error:
            raise self._broken(error) from error

    def _broken(self, error: RuntimeError) -> KafkaConnectionError:
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        return KafkaConnectionError(f"Connection at {self._host}:{self._port} broken: {error}")


def use_mended_connections() -> None:
    """Have every client that is made from now on use them."""
    aiokafka.conn.AIOKafkaConnection = Connection

"""Where log lines go: whole lines, from any thread, to standard error.

It must never fail, and never wait for itself: a full disk or a shipper that is gone costs lines,
and not the work.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO


class Output:
    """A stream that takes lines; in the place of a logger for structlog."""

    def __init__(self, stream: BinaryIO) -> None:
        """Build it.

        Args:
            stream: a buffered one, which takes what one call gives it in one piece.
        """
        self._stream = stream
        self._late: deque[bytes] = deque()  # said from within a write

    def write(self, lines: Sequence[str | bytes]) -> None:
        """Write lines, in one go; those that cannot be written are lost."""
        written = b"".join(
            (line if isinstance(line, bytes) else line.encode(errors="backslashreplace")) + b"\n"
            for line in lines
        )
        with suppress(IndexError):  # another thread may take the last one
            while self._late:
                written += self._late.popleft()
        try:
            self._stream.write(written)
            self._stream.flush()
        except RuntimeError:
            # What the garbage collector has come upon within a write: the next one takes it along.
            self._late.append(written)
        except (OSError, ValueError):
            pass  # it is full or gone, or closed: there is nowhere to say so

    def msg(self, line: str | bytes) -> None:
        """Write one line."""
        self.write([line])

    debug = info = warning = error = critical = msg

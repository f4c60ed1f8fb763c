"""Where log lines go: whole lines, from any thread, to standard error.

It must never fail: a full disk or a shipper that is gone costs lines, and not the work.
"""

import threading
from collections.abc import Sequence
from typing import BinaryIO


class Output:
    """A stream that takes lines; in the place of a logger for structlog."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, lines: Sequence[str | bytes]) -> None:
        """Write lines, in one go; those that cannot be written are lost."""
        written = b"".join(
            (line if isinstance(line, bytes) else line.encode(errors="backslashreplace")) + b"\n"
            for line in lines
        )
        with self._lock:
            try:
                self._stream.write(written)
                self._stream.flush()
            except (OSError, ValueError):
                pass  # it is full or gone, or closed: there is nowhere to say so

    def msg(self, line: str | bytes) -> None:
        """Write one line."""
        self.write([line])

    debug = info = warning = error = critical = msg

"""How tests come by a server: the first open way of several, in the background, shared.

It must never start anything that no selected test asks for.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack

#: A way to a server: a context that gives its address, or raises `Unavailable` on entering.
Way = Callable[[], AbstractContextManager[str]]


class Unavailable(Exception):
    """This way to a server is not open here. The text says why, in one line."""


@contextlib.contextmanager
def from_environment(name: str) -> Iterator[str]:
    """The address that this variable holds: a server that somebody else started and will stop."""
    address = os.environ.get(name, "")
    if not address:
        raise Unavailable(f"{name} is not set")
    yield address


@contextlib.contextmanager
def first_open(ways: Sequence[Way]) -> Iterator[str]:
    """Goes the first way that is open. Raises `Unavailable` with every reason where none is."""
    reasons = []
    with ExitStack() as stack:
        for way in ways:
            try:
                address = stack.enter_context(way())
            except Unavailable as reason:
                reasons.append(str(reason))
            else:
                yield address
                return
    raise Unavailable("; ".join(reasons))


class SharedServer:
    """A server that is started at most once, in a thread, so that two can start side by side."""

    def __init__(self, name: str, ways: Sequence[Way]) -> None:
        self.name = name
        self._ways = ways
        self._stack = ExitStack()
        self._address: Future[str] = Future()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to start it; does nothing if that was done before."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._open, name=f"start {self.name}", daemon=True
            )
            self._thread.start()

    def address(self) -> str:
        """Waits until it runs. Raises `Unavailable` if no way was open, with the reasons."""
        self.start()
        return self._address.result()

    def close(self) -> None:
        """Stops it, if it was started, and waits until it is gone."""
        if self._thread is not None:
            self._thread.join()
            self._stack.close()

    def _open(self) -> None:
        try:
            address = self._stack.enter_context(first_open(self._ways))
        except BaseException as error:  # noqa: BLE001 - raised again where the address is asked for
            self._address.set_exception(error)
        else:
            self._address.set_result(address)

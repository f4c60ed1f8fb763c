"""Servers of a test's own that can be stopped and started again, on the same port, with their data.

Each runs under a guardian, and so does the folder of its data: neither is left behind, however the
test ends. The servers that all tests share are never touched.
"""

import asyncio
import base64
import contextlib
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from consumer.demo import embedded_postgres
from consumer.demo.guardian import Guarded, Server
from tests.support import kafka
from tests.support.broker import SideDoor
from tests.support.java import java
from tests.support.kafka_jars import jars
from tests.support.postgres import programs
from tests.support.servers import Unavailable

#: Below the ports that outgoing connections get: while the server is away nobody takes its port by
#: chance, and a client that tries it over and over cannot meet itself.
_PORTS = range(20_000, 30_000)
_WAIT_TO_BE_ENDED = "import signal; signal.pause()"


class PrivateServer(ABC):
    """A server that a test stops and starts as it likes."""

    def __init__(self, spec: Server) -> None:
        self._spec = spec  # prepares its data, then runs
        self._prepared = False
        self._guarded: Guarded | None = None

    async def start(self) -> None:
        """Start it, and wait until it answers; does nothing if it was started before.

        Raises:
            Unavailable: it did not come up, with its last words.
        """
        await asyncio.to_thread(self._start)

    async def stop(self) -> None:
        """Stop it in an orderly way, and wait until it is gone; does nothing if it is."""
        await asyncio.to_thread(self._stop)

    @abstractmethod
    def _is_up(self, guarded: Guarded) -> bool:
        """Wait until it answers; False if it does not."""

    def _start(self) -> None:
        if self._guarded is not None:
            return
        # The guardian removes the folder that it is given: not the one with the data.
        folder = Path(tempfile.mkdtemp(prefix="sedna-sync-run-"))
        if self._spec.user is not None:
            shutil.chown(folder, self._spec.user)
        commands = self._spec.commands[-1:] if self._prepared else self._spec.commands
        guarded = Guarded(replace(self._spec, folder=folder, commands=commands))
        if not self._is_up(guarded):
            raise Unavailable(f"a server did not start: {guarded.close() or 'it said nothing'}")
        self._prepared = True
        self._guarded = guarded

    def _stop(self) -> None:
        guarded, self._guarded = self._guarded, None
        if guarded is not None:
            guarded.close()


class PrivateKafka(PrivateServer):
    """One node; its topics, offsets and groups are kept while it is stopped."""

    def __init__(self, home: Path, port: int, side_door: SideDoor | None = None) -> None:
        self.address = f"127.0.0.1:{port}"  #: what clients call bootstrap servers
        self.side_door = side_door
        self._cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        super().__init__(
            kafka.server_spec(
                java(),
                jars(),
                folder=home,
                port=port,
                cluster=self._cluster,
                side_door=side_door,
            )
        )

    def _is_up(self, guarded: Guarded) -> bool:
        return kafka.answers(guarded, self.address, cluster=self._cluster)


class PrivatePostgres(PrivateServer):
    """A Postgres whose databases are kept while it is stopped."""

    def __init__(self, home: Path, port: int) -> None:
        password = uuid.uuid4().hex
        #: An administrator's, of the database `postgres`.
        self.url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        self._pid_file = home / "data" / "postmaster.pid"
        super().__init__(
            embedded_postgres.server_spec(programs(), folder=home, port=port, password=password)
        )

    async def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it: "fast" ends all sessions first, "immediate" is a crash to recover from."""
        if mode == "immediate" and self._guarded is not None:
            os.kill(int(self._pid_file.read_text().split("\n", 1)[0]), signal.SIGQUIT)
        await super().stop()

    def _is_up(self, guarded: Guarded) -> bool:
        return embedded_postgres.is_ready(guarded, pid_file=self._pid_file)


@contextlib.asynccontextmanager
async def private_kafka(*, proxy: str | None = None) -> AsyncIterator[PrivateKafka]:
    """A started Kafka of one's own; with the address of a proxy it has a side door for it.

    Raises `Unavailable` where none can be had.
    """
    side_door = None if proxy is None else SideDoor(_quiet_port(), proxy)
    with _home("kafka") as home:
        server = await asyncio.to_thread(PrivateKafka, home, _quiet_port(), side_door)
        async with _started(server):
            yield server


@contextlib.asynccontextmanager
async def private_postgres() -> AsyncIterator[PrivatePostgres]:
    """A started Postgres of one's own. Raises `Unavailable` where none can be had."""
    with _home("postgres") as home:
        server = await asyncio.to_thread(PrivatePostgres, home, _quiet_port())
        async with _started(server):
            yield server


@contextlib.asynccontextmanager
async def _started(server: PrivateServer) -> AsyncIterator[None]:
    await server.start()
    try:
        yield
    finally:
        await server.stop()


@contextlib.contextmanager
def _home(kind: str) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix=f"sedna-sync-{kind}-"))
    with Guarded(Server(commands=[[sys.executable, "-c", _WAIT_TO_BE_ENDED]], folder=home, env={})):
        yield home


def _quiet_port() -> int:
    while True:
        port = random.choice(_PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port

"""The fake Sedna as a server on the loopback: start, stop, and its handles for tests.

For demonstrations and tests only. It is no Sedna: what it does beyond the known facts (K, F) is
marked A where it does it. Never listen with it where strangers come: its control path tells all and
asks nothing.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from consumer.demo.fake.accounts import Account
from consumer.demo.fake.calls import BASE_PATH, Reply, Request, read_call
from consumer.demo.fake.control import CONTROL_PATH, Control
from consumer.demo.fake.exchange import Exchanges
from consumer.demo.fake.faults import Faults
from consumer.demo.fake.journal import Entry, Journal
from consumer.demo.fake.protocol import Connection
from consumer.demo.fake.records import Holdings
from consumer.demo.fake.state import AccountState, FakeState


class FakeSedna:
    """A Sedna with invented accounts: `async with FakeSedna(accounts=...) as fake: fake.base_url`.

    Args:
        accounts: whom it serves; names and user names are unique.
        host: the address to listen on.
        port: 0 takes a free one.
        tls: serves HTTPS with this context.
        idle_seconds: after which an idle connection is closed; IIS takes 120 (F).
        journal_size: calls that the journal keeps.
        seed: of the draws of faults with a probability.
    """

    def __init__(
        self,
        *,
        accounts: Iterable[Account],
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        idle_seconds: float = 120.0,
        journal_size: int = 20_000,
        seed: int = 0,
    ) -> None:
        self.state = FakeState(accounts)
        self.faults = Faults(seed)
        self.journal = Journal(journal_size)
        self._exchanges = Exchanges(state=self.state, faults=self.faults, journal=self.journal)
        self._control = Control(
            state=self.state,
            faults=self.faults,
            journal=self.journal,
            exchanges=self._exchanges,
        )
        self._host = host
        self._port = port
        self._tls = tls
        self._idle_seconds = idle_seconds
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exchanges.stop()
        await self.down()

    async def up(self) -> None:
        """Listens; after `down` on the same port again.

        Raises:
            OSError: the port is taken.
        """
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                self._connection, self._host, self._port, ssl=self._tls, backlog=4096
            )
            self._port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuses connections and resets those that are open; what it holds stays."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            connections = list(self._connections)
            self.drop_connections()
            for connection in connections:
                await connection.gone.wait()
            await server.wait_closed()

    def drop_connections(self) -> None:
        """Resets every open connection."""
        for connection in list(self._connections):
            connection.reset()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def base_url(self) -> str:
        """What a tenant's settings call the base address."""
        return f"{self._origin}{BASE_PATH}"

    @property
    def control_url(self) -> str:
        """The address of the control path."""
        return f"{self._origin}{CONTROL_PATH}"

    @property
    def _origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self._port}"

    def account(self, name: str) -> AccountState:
        """What one account holds.

        Raises:
            KeyError: there is none of that name.
        """
        return self.state.accounts[name]

    def configure(self, name: str, **changes: Any) -> None:
        """Changes switches of an account, named as the fields of `Account`; its records stay."""
        self.state.configure([replace(self.account(name).config, **changes)])

    def expire_sessions(self, name: str | None = None) -> None:
        """Ends the sessions of one account, or of all."""
        self.state.sessions.expire(self.account(name) if name else None)

    def release(self) -> int:
        """Carries out and answers the calls that hang; how many there were."""
        return self._exchanges.release()

    @property
    def hung(self) -> int:
        """How many calls hang."""
        return self._exchanges.hung

    def forget_late_commits(self) -> None:
        """Drops the late commits that are still to come."""
        self._exchanges.forget_late()

    def holdings(self, name: str) -> Holdings:
        """What an account holds, counted."""
        return self.account(name).holdings()

    def calls(self, operation: str, *, account: str | None = None) -> int:
        """How often an operation was called since the start or the last reset."""
        counts: Counter[tuple[str | None, str]] = self.journal.counts
        return sum(
            number
            for (who, name), number in counts.items()
            if name == operation and account in (None, who)
        )

    def requests(self, operation: str, *, account: str | None = None) -> list[Entry]:
        """The calls of an operation that the journal still has, in order of arrival."""
        return [
            entry
            for entry in self.journal.entries
            if entry.operation == operation and account in (None, entry.account)
        ]

    def most_in_flight(self, name: str) -> int:
        """The most calls of an account that were ever in flight at once."""
        return self.journal.most_in_flight[name]

    async def until(self, condition: Callable[["FakeSedna"], bool]) -> None:
        """Waits until a condition on the fake holds, looking again whenever something happened."""
        while not condition(self):
            await self.journal.change()

    def _connection(self) -> Connection:
        return Connection(
            handle=self._handle, idle_seconds=self._idle_seconds, connections=self._connections
        )

    def _handle(self, request: Request, connection: Connection) -> None:
        call = read_call(request)
        if call is not None:
            self._exchanges.begin(call, connection)
        elif request.path.startswith(f"{CONTROL_PATH}/"):
            connection.send(self._control.answer(request))
        else:
            connection.send(Reply(404, b"", (("Content-Type", "text/html"),)))

"""The real service as a process, with a database, topics and a fake Sedna of the test's own."""

import asyncio
import base64
import contextlib
import ctypes
import itertools
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from consumer.credentials import Keyring
from consumer.demo.fake import Account, FakeSedna
from db import tenants
from db.pool import open_pool
from db.records import TenantSettings
from tests.support import kafka_clients
from tests.support.kafka_clients import Message, Topics

ENCRYPTION_KEYS = f"test:{base64.b64encode(bytes(range(32))).decode()}"
_CHECKOUT = Path(__file__).parents[2]
#: Seconds that a service may take to say that it has started, or to end.
_PATIENCE = 60.0


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


@dataclass(slots=True)
class ServiceProcess:
    """One `sedna-sync run`."""

    process: asyncio.subprocess.Process
    log_file: Path
    command_line: str  #: as the process list shows it
    told_to_end: bool = False

    def log(self) -> str:
        """All that it has written."""
        return self.log_file.read_text("utf-8")

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """Its log lines, of one event if one is named; what is no JSON has its text as event."""
        lines = [
            json.loads(line) if line.startswith("{") and line.endswith("}") else {"event": line}
            for line in self.log().splitlines()
        ]
        return [line for line in lines if event in (None, line.get("event"))]

    async def address(self) -> str:
        """Where its API listens, once it does: host and port; raises as :meth:`until`."""
        await self.until_logged("api_listening")
        (line,) = self.lines("api_listening")
        return f"127.0.0.1:{line['port']}"

    async def until_logged(self, event: str, *, times: int = 1) -> None:
        """Wait for a log line; raises as :meth:`until`."""
        await self.until(lambda: len(self.lines(event)) >= times)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that its log shows.

        Raises:
            RuntimeError: the process ended before, with its log.
        """
        async with asyncio.timeout(_PATIENCE):
            while not condition():
                if self.process.returncode is not None:
                    raise RuntimeError(f"it ended with {self.process.returncode}:\n{self.log()}")
                await asyncio.sleep(0.02)

    def terminate(self) -> None:
        """SIGTERM, without waiting for what follows."""
        self.told_to_end = True
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        async with asyncio.timeout(_PATIENCE):
            return await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM, once if it still runs; returns the exit code."""
        if self.process.returncode is None:
            self.terminate()
        return await self.ended()

    async def kill(self) -> None:
        """SIGKILL."""
        self.told_to_end = True
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@dataclass(slots=True)
class World:
    """Everything that a service needs, and what came of it."""

    fake: FakeSedna
    kafka: str
    topics: Topics
    database_url: str
    group_id: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    #: Variables of the environment that are not the service's own, such as OpenTelemetry's.
    variables: dict[str, str] = field(default_factory=dict)
    #: What is run as `sedna-sync`.
    program: list[str] = field(
        default_factory=lambda: [str(Path(sys.executable).parent / "sedna-sync")]
    )
    services: list[ServiceProcess] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)  #: by the commands that were run
    numbers: Iterator[int] = field(default_factory=itertools.count)  #: of the log files

    def environment(self, **settings: Any) -> dict[str, str]:
        """The variables of a service, nothing of the machine's own settings among them."""
        own = {
            name: value
            for name, value in os.environ.items()
            if "SEDNA_SYNC_" not in name and not name.startswith("OTEL_")
        }
        values = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "KAFKA_GROUP_ID": self.group_id,
            "TOPIC_RESERVATIONS": self.topics.reservations,
            "TOPIC_STOP_SALES": self.topics.stop_sales,
            "TOPIC_SYNCED": self.topics.synced,
            "TOPIC_FAILED": self.topics.failed,
            "TOPIC_DEADLETTER": self.topics.deadletter,
            "DATABASE_URL": self.database_url,
            "ENCRYPTION_KEYS": ENCRYPTION_KEYS,
            "ALLOW_PRIVATE_ADDRESSES": "true",
            "LOG_LEVEL": "DEBUG",
            "API_PORT": "0",
            **self.settings,
            **settings,
        }
        return (
            own
            | self.variables
            | {f"SEDNA_SYNC_{name}": str(value) for name, value in values.items()}
        )

    async def start_after_kill(self, **settings: Any) -> ServiceProcess:
        """Start a service in the place of one that was killed.

        In a new group, which reads everything once more: the old one waits for the killed member
        until its session has timed out, and its leases until they have run out. A test need not.
        """
        await self.query("UPDATE partition_leases SET expires_at = now()")
        self.group_id += "-again"
        return await self.start(**settings)

    async def start(self, **settings: Any) -> ServiceProcess:
        """Start a service, and wait until it reads."""
        service = await self.launch(**settings)
        await service.until_logged("partitions_assigned")
        return service

    async def launch(self, **settings: Any) -> ServiceProcess:
        """Start a service, without waiting for what becomes of it."""
        log_file = self.folder / f"service-{next(self.numbers)}.log"
        with log_file.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *self.program,
                "run",
                cwd=_CHECKOUT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(**settings),
                # A run of tests that is killed leaves no service behind.
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        service = ServiceProcess(process, log_file, _command_line(process.pid))
        self.services.append(service)
        return service

    async def begin(
        self, *arguments: str, has_stdin: bool = False, **settings: Any
    ) -> asyncio.subprocess.Process:
        """Start `sedna-sync`, without waiting for its end."""
        return await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "sedna-sync"),
            *arguments,
            stdin=asyncio.subprocess.PIPE if has_stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment(**settings),
            limit=2**24,
        )

    async def command(
        self, *arguments: str, stdin: str | None = None, **settings: Any
    ) -> tuple[int, str, str]:
        """Run `sedna-sync` once; returns exit code, standard output and standard error."""
        process = await self.begin(*arguments, has_stdin=stdin is not None, **settings)
        try:
            async with asyncio.timeout(_PATIENCE):
                out, error = await process.communicate(None if stdin is None else stdin.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        self.printed += [out.decode(), error.decode()]
        return process.returncode or 0, out.decode(), error.decode()

    async def add_tenants(self, accounts: Iterable[Account], **settings: Any) -> None:
        """Give the service the accounts of the fake, each as a tenant of the same name."""
        keys = Keyring.parse(ENCRYPTION_KEYS)
        pool = await open_pool(self.database_url, max_size=1)
        try:
            for account in accounts:
                sealed = keys.encrypt(account.password, tenant_id=account.name)
                await tenants.put(
                    pool,
                    TenantSettings(
                        tenant_id=account.name,
                        sedna_api_url=self.fake.base_url,
                        sedna_username=account.username,
                        sedna_password_encrypted=sealed,
                        sedna_operator_code=account.operator_code,
                        **settings,
                    ),
                )
        finally:
            await pool.close()

    async def publish_reservations(self, events: Iterable[tuple[str, bytes]]) -> None:
        """Publish (tenant, event) pairs, in this order."""
        await self._publish(self.topics.reservations, events)

    async def publish_stop_sales(self, events: Iterable[tuple[str, bytes]]) -> None:
        """Publish (tenant, event) pairs, in this order."""
        await self._publish(self.topics.stop_sales, events)

    async def _publish(self, topic: str, events: Iterable[tuple[str, bytes]]) -> None:
        await kafka_clients.produce(
            self.kafka,
            [Message(topic=topic, key=tenant.encode(), value=value) for tenant, value in events],
        )

    async def query(self, statement: str, *arguments: Any) -> list[Any]:
        """Rows of the service's database."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def value(self, statement: str, *arguments: Any) -> Any:
        """The one value that a statement finds; None where it finds no row."""
        rows = await self.query(statement, *arguments)
        return rows[0][0] if rows else None

    async def until_value(
        self, wanted: Any, statement: str, *arguments: Any, timeout_seconds: float = 60.0
    ) -> None:
        """Wait until a statement finds this value.

        Raises:
            TimeoutError: with the value that it found instead.
        """
        found: Any = None
        try:
            async with asyncio.timeout(timeout_seconds):
                while (found := await self.value(statement, *arguments)) != wanted:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise TimeoutError(f"waited for {wanted}, found {found}: {statement}") from None

    async def until_settled(self, count: int, *, timeout_seconds: float = 60.0) -> None:
        """Wait until so many syncs are settled and their results are published.

        Raises:
            TimeoutError: with what the table holds instead.
        """
        states: Counter[str] = Counter()
        unpublished = 0
        try:
            async with asyncio.timeout(timeout_seconds):
                while True:
                    rows = await self.query("SELECT state, count(*) FROM syncs GROUP BY state")
                    states = Counter({row["state"]: row["count"] for row in rows})
                    unpublished = (await self.query("SELECT count(*) FROM outbox"))[0]["count"]
                    if states["synced"] + states["failed"] >= count and not unpublished:
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise TimeoutError(
                f"waited for {count} settled syncs, found {dict(states)}, {unpublished} results "
                f"unpublished"
            ) from None

    async def results(self) -> list[dict[str, Any]]:
        """All result events that were published."""
        records = await kafka_clients.read_all(self.kafka, self.topics.synced, self.topics.failed)
        return [json.loads(record.value or b"null") for record in records]

    async def skip_to_end(self) -> None:
        """Let the service begin behind what the input topics hold now; before any was started."""
        await kafka_clients.commit_ends(
            self.kafka, self.group_id, self.topics.reservations, self.topics.stop_sales
        )

    async def until_committed(self, *, timeout_seconds: float = 60.0) -> None:
        """Wait until the group has committed all that the input topics hold."""
        async with asyncio.timeout(timeout_seconds):
            while await self.lag():
                await asyncio.sleep(0.1)

    async def until_read(self, *, group_id: str | None = None) -> None:
        """Wait until all records of the input topics are committed."""
        async with asyncio.timeout(_PATIENCE):
            while await self.lag(group_id=group_id):
                await asyncio.sleep(0.05)

    async def lag(self, *, group_id: str | None = None) -> int:
        """How many records of the input topics are not committed."""
        ends = await kafka_clients.end_offsets(
            self.kafka, self.topics.reservations, self.topics.stop_sales
        )
        offsets = await kafka_clients.committed(self.kafka, group_id or self.group_id)
        return sum(end - offsets.get(partition, 0) for partition, end in ends.items())


def _command_line(process_id: int) -> str:
    """What the process list shows; empty where there is no /proc."""
    shown = Path(f"/proc/{process_id}/cmdline")
    return shown.read_text("utf-8") if shown.exists() else ""


@contextlib.asynccontextmanager
async def running_world(
    *, fake: FakeSedna, kafka: str, topics: Topics, database_url: str, group_id: str
) -> AsyncIterator[World]:
    """A world whose services are all gone at the end."""
    with tempfile.TemporaryDirectory(prefix="sedna-sync-test-") as folder:
        world = World(fake, kafka, topics, database_url, group_id, Path(folder))
        try:
            yield world
        finally:
            for service in world.services:
                await service.kill()

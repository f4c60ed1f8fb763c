"""A Prometheus and its promtool, for what is shown and alerted from our metrics.

A server has a folder and a port of its own, and a guardian: it is not left behind, however the test
ends. Nothing that a package brings is started as a service of this machine.
"""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from consumer.demo.embedded_postgres import free_port
from consumer.demo.guardian import Guarded, Server
from tests.support.packages import bring, kept
from tests.support.servers import Unavailable

_LACKING = "no Prometheus"
#: Debian's package is unpacked and not installed: installed, it would start a server on port 9090.
_MANAGERS = {
    "apt-get": [["apt-get", "update"], ["apt-get", "download", "prometheus"]],
    "dnf": [["dnf", "install", "-y", "golang-github-prometheus"]],
    "apk": [["apk", "add", "prometheus"]],
    "brew": [["brew", "install", "prometheus"]],
}
_START_SECONDS = 60


def program(name: str) -> str:
    """The path of `promtool` or `prometheus`: on the path, else unpacked in the user's cache.

    By the system's package manager, where that may be asked: see `packages`.
    """
    if found := shutil.which(name):
        return found
    with contextlib.suppress(_Installed):
        return str(kept("prometheus", _unpack) / "usr" / "bin" / name)
    if found := shutil.which(name):
        return found
    raise Unavailable(f"{_LACKING}: install the package prometheus, or put {name} on the path")


class _Installed(Exception):
    """There is nothing to keep: the system has the package now, or nobody was asked for it."""


def _unpack(folder: Path, _lock: int) -> None:
    bring(_MANAGERS, lacking=_LACKING, folder=folder)
    packages = list(folder.glob("prometheus_*.deb"))
    if not packages:
        raise _Installed
    done = subprocess.run(
        ["dpkg-deb", "--extract", packages[0], folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise Unavailable(f"{_LACKING}: the package cannot be unpacked: {done.stderr.strip()}")
    packages[0].unlink()


@contextlib.contextmanager
def running(config: Mapping[str, Any]) -> Iterator[str]:
    """A server with this configuration; gives its URL. Raises `Unavailable` where none starts."""
    executable = program("prometheus")
    address = f"127.0.0.1:{free_port()}"
    folder = Path(tempfile.mkdtemp(prefix="sedna-sync-prometheus-"))
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(dict(config)), "utf-8")
    server = Server(
        commands=[
            [
                executable,
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ]
        ],
        folder=folder,
        env={},
    )
    with Guarded(server) as guarded:
        url = f"http://{address}"
        _until_ready(guarded, url)
        yield url


@contextlib.asynccontextmanager
async def scraping(
    targets: Sequence[str], *, job: str, seconds: int, rules: Path
) -> AsyncIterator[str]:
    """A server that scrapes these (host and port) every so many seconds; gives its URL.

    The rules' path is an absolute one.

    Raises:
        Unavailable: where none starts.
    """
    every = f"{seconds}s"
    server = running(
        {
            "global": {"scrape_interval": every, "evaluation_interval": every},
            "rule_files": [str(rules)],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [*targets]}]}],
        }
    )
    url = await asyncio.to_thread(server.__enter__)
    try:
        yield url
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


def _until_ready(guarded: Guarded, url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while guarded.running() and time.monotonic() < deadline:
        with contextlib.suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
            return
        time.sleep(0.05)
    raise Unavailable(f"{_LACKING}: it did not start: {guarded.close() or 'it said nothing'}")

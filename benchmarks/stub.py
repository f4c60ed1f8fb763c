"""The stub that stands for Sedna in benchmarks: a Go program, so that it is not the bottleneck."""

import asyncio
import contextlib
import json
import shutil
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent / "go_stub" / "main.go"


@dataclass(frozen=True, slots=True)
class Stub:
    origin: str

    @property
    def base_url(self) -> str:
        """As a tenant's settings have it."""
        return f"{self.origin}/SednaAgencyb2bApi"

    @property
    def inserts(self) -> int:
        """How many reservations it was sent so far."""
        with urllib.request.urlopen(f"{self.origin}/stats") as reply:
            return int(json.load(reply)["inserts"])


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Stub]:
    """Build and run it.

    Raises:
        RuntimeError: there is no Go.
    """
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("the benchmarks' stub is a Go program: install Go 1.21 or newer")
    with tempfile.TemporaryDirectory(prefix="sedna-sync-bench-") as folder:
        program = Path(folder) / "stub"
        build = await asyncio.create_subprocess_exec(go, "build", "-o", str(program), str(SOURCE))
        if await build.wait():
            raise RuntimeError("the benchmarks' stub cannot be built")
        process = await asyncio.create_subprocess_exec(str(program), stdout=asyncio.subprocess.PIPE)
        try:
            assert process.stdout is not None
            port = (await process.stdout.readline()).decode().strip()
            yield Stub(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            await process.wait()

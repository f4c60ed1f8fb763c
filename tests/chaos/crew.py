"""The service processes of a chaos run: starts them, puts new ones in the place of those that end.

It never lets the run be without a process for long, and notes each one that ended by itself.
"""

import asyncio
import os
import signal
from dataclasses import dataclass, field

from tests.support.service import ServiceProcess, World

_LOOK_SECONDS = 0.1
#: Seconds before a process that ended by itself is replaced, as a supervisor would wait.
_AGAIN_SECONDS = 1.0
_MOST = 5
_LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended without having been told to, or did not end when it was."""

    code: int | None  #: None: it did not end when told to, and was killed
    log: str  #: the file
    last_lines: str
    #: Whether it had come so far as to serve; before that a missing server is a reason to end.
    had_started: bool


@dataclass(slots=True)
class Crew:
    """So many processes, whatever befalls them."""

    world: World
    size: int
    ended: list[Ended] = field(default_factory=list)
    _members: list[ServiceProcess] = field(default_factory=list)
    _leaving: list[ServiceProcess] = field(default_factory=list)
    _paused: set[int] = field(default_factory=set)  # by process id

    async def gather(self) -> None:
        """Start them all, and wait until each takes part."""
        for _ in range(self.size):
            self._members.append(await self.world.start())

    async def watch(self) -> None:
        """Replace whoever ends by itself, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            gone = [each for each in self._members if each.process.returncode is not None]
            for member in gone:
                self._members.remove(member)
                self.ended.append(_obituary(member, member.process.returncode))
            if gone:
                await asyncio.sleep(_AGAIN_SECONDS)
            while len(self._members) < self.size:
                await self.join()

    async def kill(self, choice: float) -> bool:
        """SIGKILL for one, and a new process in its place; False if there was none to kill."""
        member = self._pick(choice)
        if member is None:
            return False
        self._members.remove(member)
        await member.kill()
        await self.join()
        return True

    async def pause(self, choice: float, seconds: float) -> bool:
        """SIGSTOP for one, and SIGCONT so many seconds later."""
        member = self._pick(choice)
        if member is None:
            return False
        process_id = member.process.pid
        self._paused.add(process_id)
        os.kill(process_id, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._paused.discard(process_id)
            if member.process.returncode is None:
                os.kill(process_id, signal.SIGCONT)
        return True

    async def join(self) -> None:
        """One more process; beyond some number the oldest leaves for it."""
        self._members.append(await self.world.launch())
        if len(self._members) > _MOST:
            await self.leave(0.0)

    async def leave(self, choice: float) -> bool:
        """SIGTERM for one; a new one comes only if there are too few."""
        member = self._pick(choice)
        if member is None:
            return False
        self._members.remove(member)
        self._leaving.append(member)
        member.terminate()
        if len(self._members) < self.size:
            await self.join()
        return True

    async def disband(self) -> None:
        """SIGTERM for all; a process that does not end, or not well, is noted."""
        members, self._members = self._members, []
        for member in members:
            if member.process.returncode is None:
                member.terminate()
        for member in [*members, *self._leaving]:
            try:
                code: int | None = await member.ended()
            except TimeoutError:
                code = None
            if code != 0:
                self.ended.append(_obituary(member, code))
                await member.kill()

    def _pick(self, choice: float) -> ServiceProcess | None:
        able = [
            member
            for member in self._members
            if member.process.returncode is None and member.process.pid not in self._paused
        ]
        return able[int(choice * len(able))] if able else None


def _obituary(member: ServiceProcess, code: int | None) -> Ended:
    lines = member.log().splitlines()
    return Ended(
        code=code,
        log=str(member.log_file),
        last_lines="\n".join(lines[-_LAST_LINES:]),
        had_started=bool(member.lines("started")),
    )

"""A gate for tests of what is behind it."""

from consumer.sedna.errors import SednaError
from consumer.sedna.gate import Leave
from consumer.sedna.operations import Operation


class NoGate:
    """Holds nothing back."""

    async def turn(self) -> None:
        """Go on at once."""

    def enter(self, operation: Operation) -> Leave:  # noqa: ARG002  # all are the same to it
        """Let it out."""

        def leave(_error: SednaError | None) -> None:
            pass

        return leave

"""Log lines come out whole, and a stream that takes none costs nothing but the lines."""

import errno
import io
import os
import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from consumer.logs import configure, get_logger
from consumer.output import Output


class Full(io.RawIOBase):
    """A disk without room."""

    def writable(self) -> bool:
        return True

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_lines_of_several_threads_come_out_whole(tmp_path: Path) -> None:
    stream = (tmp_path / "log").open("wb", buffering=64)  # less than a line
    output = Output(stream)

    def write(letter: str) -> None:
        for _ in range(500):
            output.write([letter * 50, (letter * 50).encode()])

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stream.close()
    lines = (tmp_path / "log").read_text("utf-8").splitlines()
    assert len(lines) == 4 * 1000
    assert {len(set(line)) for line in lines} == {1}
    assert {len(line) for line in lines} == {50}


def test_a_text_that_is_no_unicode_comes_out_as_the_number_that_it_is() -> None:
    stream = io.BytesIO()
    Output(stream).msg("half \ud800")
    assert stream.getvalue() == b"half \\ud800\n"


def test_what_is_said_from_within_a_write_comes_out_with_the_next_line() -> None:
    """Of the collector's finalizers one can run within a write, and Python refuses its own."""

    class Busy(io.BytesIO):
        def write(self, line: Any, /) -> int:
            if line == b"first\n":
                output.msg("from within")
            elif line == b"from within\n":
                raise RuntimeError("reentrant call inside")
            return super().write(line)

    stream = Busy()
    output = Output(stream)
    output.msg("first")
    output.msg("next")
    assert stream.getvalue().splitlines() == [b"first", b"next", b"from within"]


def test_another_thread_that_takes_the_late_lines_first_raises_nothing() -> None:
    class Taken(deque[bytes]):
        """Has a line when it is asked, and none when it is to give it."""

        def __bool__(self) -> bool:
            return True

    stream = io.BytesIO()
    output = Output(stream)
    output._late = Taken()
    output.msg("a line")
    assert stream.getvalue() == b"a line\n"


@pytest.mark.parametrize("stream", [Full(), io.BufferedWriter(Full()), io.BytesIO()])
def test_a_stream_that_is_full_or_closed_costs_lines_and_nothing_else(
    stream: io.RawIOBase | io.BufferedWriter | io.BytesIO,
) -> None:
    if isinstance(stream, io.BytesIO):
        stream.close()
    output = Output(stream)  # type: ignore[arg-type]
    output.msg("a line")
    output.write([b"more"] * 10_000)


def test_a_program_goes_on_when_nobody_reads_its_lines_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        lines = configure(level="INFO", json=True)
        get_logger("consumer.x").info("let_go", tenant="a")
        lines.settled([{"event": "synced", "level": "info", "error": None}])
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            stream.close()

"""Standard streams whose reader is gone, whose disk is full or whose encoding lacks characters: nothing ends for it."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lad_jax.errors import InputError
from lad_jax.streams import LenientStream

TEXT = "Fußgänger 行人 … " + os.fsdecode(b"\xff.png")


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """The end to read from, and the stream to write to."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="ascii") as stream:
        yield reading, stream


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "cp932", "utf-8"])
def test_characters_that_cannot_be_shown_are_escaped(encoding: str) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding=encoding) as stream, os.fdopen(reading, "rb") as shown:
        print(TEXT, file=LenientStream(stream))
        line = shown.readline()  # at once, without a flush
    assert line.decode(encoding) == TEXT.encode(encoding, "backslashreplace").decode(encoding) + "\n"


def test_a_reader_that_leaves_is_no_error(pipe: tuple[int, io.TextIOWrapper]) -> None:
    reading, stream = pipe
    printed = LenientStream(stream)
    os.close(reading)
    for _ in range(3):
        print("a line", file=printed)
    printed.check()


def test_a_terminal_that_does_not_block_gets_everything(pipe: tuple[int, io.TextIOWrapper]) -> None:
    reading, stream = pipe
    os.set_blocking(stream.fileno(), False)
    program = "import sys, time; time.sleep(0.2); print(len(sys.stdin.read()))"
    with subprocess.Popen([sys.executable, "-c", program], stdin=reading, stdout=subprocess.PIPE) as reader:
        os.close(reading)
        LenientStream(stream).write("x" * 1_000_000 + "\n")
        stream.close()
        assert reader.stdout and reader.stdout.read() == b"1000001\n"


def test_a_full_disk_is_said_at_the_end() -> None:
    with Path("/dev/full").open("w") as stream:
        printed = LenientStream(stream)
        print("a line", file=printed)
        print("another", file=printed)
        with pytest.raises(InputError, match=r"what was printed is incomplete: .*No space left"):
            printed.check()


def test_a_stream_that_was_closed_takes_everything() -> None:
    print(TEXT, file=LenientStream(None))

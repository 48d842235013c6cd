"""The lock of a workdir, which the first process of a run holds, so that another run is refused.

The lock is a file that names its holder. On one host, until it is started again, the kernel knows whether that run
lives: `flock` ends with the process, however it ended. Between hosts, whose file systems may not share `flock` and
whose clocks differ, there is a heartbeat: the holder touches the file every `BEAT_S`, and others watch whether the
file's time changes.
"""

import contextlib
import datetime
import fcntl
import functools
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lad_jax import hosts
from lad_jax.errors import InputError

FILE = "lock.json"
BEAT_S = 10.0
"""Time between two heartbeats [seconds]."""
LOST_S = 60.0
"""Time without a heartbeat after which a run on another host is taken for dead [seconds]."""
_PAUSE_S = 0.2
"""Duration from which a kernel's lock is a run's; a shorter one may be of a process that removes the file [seconds]."""

_log = logging.getLogger(__name__)


@functools.cache
def boot_id() -> str:
    """Identity of the kernel since it was started; empty where it gives none."""
    file = Path("/proc/sys/kernel/random/boot_id")
    return file.read_text().strip() if file.exists() else ""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock."""

    host: str = field(default_factory=socket.gethostname)
    process: int = field(default_factory=os.getpid)
    started: str = field(default_factory=lambda: datetime.datetime.now().astimezone().isoformat())
    boot: str = field(default_factory=boot_id)
    """Identity of the host's kernel since it was started: hosts may have one name."""

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.started}"


_UNKNOWN = Holder("an unknown host", 0, "an unknown time")
"""Holder of a damaged file: its writer may live, so its heartbeat is watched."""


@dataclass(frozen=True)
class _Sight:
    """A lock as it was seen: equal to a later one as long as nobody has touched the file."""

    holder: Holder
    inode: int
    beat_ns: int

    @property
    def is_here(self) -> bool:
        """Whether the holder is a process of this host."""
        return (self.holder.host, self.holder.boot) == (socket.gethostname(), boot_id())


@contextlib.contextmanager
def hold(workdir: Path, *, beat_s: float = BEAT_S, lost_s: float = LOST_S) -> Iterator[None]:
    """Hold the lock of a run while the block runs. All processes must call it; the first one holds the lock.

    Args:
      workdir: the run's folder, which exists.
      beat_s: time between two heartbeats [seconds].
      lost_s: time without a heartbeat after which a run on another host is taken for dead [seconds].

    Raises:
      InputError: another run holds the lock; in all processes.
    """
    with contextlib.ExitStack() as held:
        refusal = ""
        if hosts.is_writer():
            try:
                held.enter_context(_held(workdir / FILE, beat_s, lost_s))
            except InputError as error:
                refusal = str(error)
        hosts.check_first(refusal)
        yield


def living_holder(workdir: Path, *, beat_s: float = BEAT_S, lost_s: float = LOST_S) -> Holder | None:
    """The run that holds the lock of `workdir`; None: there is none, or it is dead.

    Args:
      workdir: the run's folder.
      beat_s: time between two heartbeats, for one of which a run on another host is watched [seconds].
      lost_s: time without a heartbeat after which a run on another host is taken for dead [seconds].
    """
    seen, is_alive = _judge(workdir / FILE, beat_s, lost_s)
    return seen.holder if seen and is_alive else None


@contextlib.contextmanager
def _held(file: Path, beat_s: float, lost_s: float) -> Iterator[None]:
    holder, ended = Holder(), threading.Event()
    descriptor = _take(file, holder, beat_s, lost_s)
    thread = threading.Thread(target=_beat, args=(file, descriptor, holder, ended, beat_s), daemon=True, name="lock")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        seen = _look(file)
        if seen and seen.holder == holder:
            file.unlink()
        os.close(descriptor)


def _take(file: Path, holder: Holder, beat_s: float, lost_s: float) -> int:
    """Take the lock for `holder`; returns the descriptor of the open file.

    Raises:
      InputError: a living run holds it; or the file cannot be read, written or removed.
    """
    try:
        return _wait_and_take(file, holder, beat_s, lost_s)
    except OSError as error:
        raise InputError(
            f"workdir {file.parent} cannot be locked: {error}. Free some space if the disk is full; see that you may "
            f"write there; a {FILE} that a dead run has left may be removed."
        ) from error


def _wait_and_take(file: Path, holder: Holder, beat_s: float, lost_s: float) -> int:
    """Take the lock as soon as nobody holds it."""
    while True:
        with contextlib.suppress(FileExistsError):
            return _create(file, holder)
        seen = _look(file)
        if seen and not seen.is_here:
            _log.info("%s: waiting for a heartbeat of %s, for %.0f s at most", file, seen.holder, lost_s)
        seen, is_alive = _judge(file, beat_s, lost_s)
        if seen and is_alive:
            raise InputError(
                f"another run is at work in workdir {file.parent}: {seen.holder}. Wait until it ends, or end it there "
                "by SIGTERM, which lets it save first; or take another workdir."
            )
        if seen:
            _remove(file, seen)


def _create(file: Path, holder: Holder) -> int:
    """Create the file, as only one process can, with a lock of the kernel where the file system has these."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, f"{json.dumps(asdict(holder))}\n".encode())
    except BaseException:  # a full disk
        file.unlink()
        os.close(descriptor)
        raise
    return descriptor


def _judge(file: Path, beat_s: float, lost_s: float) -> tuple[_Sight | None, bool]:
    """The lock as last seen, None where there is none, and whether its holder lives."""
    seen, since = _look(file), time.monotonic()
    while seen:
        locked = _is_locked(file) if seen.is_here else None
        if locked is False:
            return seen, False
        time.sleep(_PAUSE_S if locked else beat_s / 5)
        before, seen = seen, _look(file)
        if seen and seen.holder == before.holder and (locked or seen != before):
            return seen, True
        if seen != before:
            since = time.monotonic()
        elif time.monotonic() - since > lost_s:
            return seen, False
    return None, False


def _look(file: Path) -> _Sight | None:
    try:
        with file.open("rb") as opened:  # a network file system may remember what `stat` says, but not over an `open`
            status, text = os.fstat(opened.fileno()), opened.read()
    except FileNotFoundError:
        return None
    try:
        holder = Holder(**json.loads(text))
    except (ValueError, TypeError):
        holder = _UNKNOWN
    return _Sight(holder, status.st_ino, status.st_mtime_ns)


def _is_locked(file: Path) -> bool | None:
    """Whether a process that lives has the kernel's lock; None where the file system has no such locks."""
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _remove(file: Path, dead: _Sight) -> None:
    """Remove the lock of a dead run, unless it has changed since it was seen.

    The kernel's lock lets one process at a time do so. Where hosts do not share it two may take over a lock at the
    same moment; the next heartbeat of the first then ends it.
    """
    mode = "r+b" if os.access(file, os.W_OK) else "rb"  # it may be another user's, but network file systems lock "r+b"
    with contextlib.suppress(FileNotFoundError), file.open(mode) as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if dead.is_here:  # another process is at it
                return
            time.sleep(_PAUSE_S)  # the same; or it is the lock of a dead host, which a file server may keep for long
        except OSError:
            pass
        if _look(file) == dead:
            file.unlink()


def _beat(file: Path, descriptor: int, holder: Holder, ended: threading.Event, beat_s: float) -> None:
    """Touch the file again and again; end the process, as a kill would, once another run has taken its lock."""
    while not ended.wait(beat_s):
        with contextlib.suppress(OSError):  # the file system is gone for a while
            os.utime(descriptor)
            seen = _look(file)
            if seen and seen.holder not in (holder, _UNKNOWN):
                hosts.end(
                    f"workdir {file.parent} was taken over by another run, {seen.holder}: no heartbeat of this one had "
                    "come for long, as of a host that sleeps or has lost its network. This run writes nothing more."
                )

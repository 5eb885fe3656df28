"""What processes counted, as Prometheus' text: this one's, or, with PROMETHEUS_MULTIPROC_DIR, those of this host together.

    process ─ counts in memory ───────────────────────────────▶ page      (one process)
    process ─ maps DIR/counter_PID.db … ─┬─▶ all added up ────▶ page      (several, which share DIR)
    process ─ ended, killed ─▶ its files ┘
                                 └─ many of them ─▶ added into one, so that a host which starts processes for months stays quick

Prometheus' library decides between the two when it is imported, from the environment: whoever starts processes sets it.
"""

import fcntl
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
MOST_DEAD = 20
"""Files of processes that have ended; more are added into one."""
_LOCK_WITHIN_S, _LOCK_AGAIN_S = 2.0, 0.01
_LEAST_BYTES = 1 << 16
_OF_THE_DEAD = 0
"""Stands for a process' number in the name of that one: no process has it."""


class Counted(Collector):
    """The counters and histograms of this process; with a folder (by default the environment's), of all that share it."""

    def __init__(self, folder: Path | None = None) -> None:
        name = str(folder or os.environ.get(VARIABLE, ""))
        self._folder = Path(name) if name else None

    def collect(self) -> Iterable[Metric]:
        """As they are now. Raises OSError where the folder is gone."""
        if self._folder is None:
            return list(REGISTRY.collect())
        with _alone_in(self._folder) as alone:
            if alone:
                _forget_the_dead(self._folder)
            # An empty file is of a process that was killed before it had made it.
            files = [str(file) for file in self._folder.glob("*.db") if file.stat().st_size]
            return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]  # the library has no types here


def page_of(collector: Collector) -> bytes:
    """The text of what a collector has."""
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry)


class Given(Collector):
    """Metrics that were collected already."""

    def __init__(self, given: Iterable[Metric]) -> None:
        self._given = given

    def collect(self) -> Iterable[Metric]:
        """These."""
        return self._given


@contextmanager
def _alone_in(folder: Path) -> Iterator[bool]:
    """While no other process adds files up or reads them: half added up, counters would seem to go back.

    False: one that froze holds the lock. Its page waits, and no other should.
    """
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _locked(lock)
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    until_s = time.monotonic() + _LOCK_WITHIN_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until_s:
                return False
            time.sleep(_LOCK_AGAIN_S)
        else:
            return True


def _forget_the_dead(folder: Path) -> None:
    """Forget gauges of processes that have ended, and add up what they counted once there are many of them."""
    dead = [file for file in folder.glob("*.db") if not _lives(_pid_of(file))]
    for pid in {_pid_of(file) for file in dead if file.name.startswith("gauge_live")}:
        mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]  # likewise
    counts = [file for file in dead if file.name.startswith(("counter_", "histogram_"))]
    if len(counts) <= MOST_DEAD:
        return
    for kind in ("counter", "histogram"):
        of_kind = [file for file in counts if file.name.startswith(kind)]
        total = folder / f"{kind}_{_OF_THE_DEAD}.db"
        if of_kind and _make_room(total, of_kind):
            _add_up(total, of_kind)


def _make_room(total: Path, files: Iterable[Path]) -> bool:
    """Whether there is room for all of them together: where the disk is full, a write into a hole of a mapped file ends us.

    Where there is none they stay as they are, and the next page tries again.
    """
    if not hasattr(os, "posix_fallocate"):
        return True
    with total.open("ab") as opened:
        try:
            os.posix_fallocate(opened.fileno(), 0, max(_LEAST_BYTES, sum(map(_used_bytes, [total, *files]))))
        except OSError:
            return False
    return True


def _used_bytes(file: Path) -> int:
    with file.open("rb") as opened:
        return int.from_bytes(opened.read(4), sys.byteorder)


def _add_up(total: Path, files: Iterable[Path]) -> None:
    sums = MmapedDict(str(total))  # type: ignore[no-untyped-call]  # likewise
    for file in files:
        if file.stat().st_size:
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(file)):  # type: ignore[no-untyped-call]  # likewise
                before, _ = sums.read_value(key)  # type: ignore[no-untyped-call]  # likewise
                sums.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]  # likewise
        file.unlink()
    sums.close()  # type: ignore[no-untyped-call]  # likewise


def _pid_of(file: Path) -> int:
    return int(file.stem.rsplit("_", 1)[1])


def _lives(pid: int) -> bool:
    if pid == _OF_THE_DEAD:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True

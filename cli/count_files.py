"""Room for what this process counts, made before it counts: the files that it shares with others of this host.

    PROMETHEUS_MULTIPROC_DIR ─▶ room for each file? ─ yes ─▶ the library maps them, and writes there
                                        └─ no ─▶ it counts in memory, which nobody sees

The library maps files with holes in them. Where the disk is full, a write into a hole is SIGBUS: it ends the process, and all
that it runs, for the sake of a number. Agents' tools can fill a disk. Standard library only: the library decides when it is
imported.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
BYTES: Mapping[str, int] = {
    "counter": 1 << 18,
    "histogram": 1 << 20,
    "gauge_livesum": 1 << 16,
    "gauge_livemax": 1 << 16,
}
"""By kind of metric, as the library names them: enough for 200 job types, of 4 KiB each."""


def make_room() -> None:
    """Make it, where a folder is named; without room have this process count in memory, and say so on stderr.

    Call it before anything that counts is imported.
    """
    if not (named := os.environ.get(VARIABLE)):
        os.environ.pop(VARIABLE, None)  # to the library an empty one is the folder that we are called in
        return
    if not hasattr(os, "posix_fallocate"):
        return
    files = [Path(named) / f"{kind}_{os.getpid()}.db" for kind in BYTES]
    try:
        for file, size in zip(files, BYTES.values(), strict=True):
            _allocate(file, size)
    except OSError as error:
        for file in files:
            with suppress(OSError):
                file.unlink()
        print(
            f"jobs: no room for counters in {named} ({error.strerror}): nobody sees what this counts", file=sys.stderr
        )
        _count_in_memory(named)


def _allocate(file: Path, size: int) -> None:
    with file.open("ab") as opened:
        os.posix_fallocate(opened.fileno(), 0, size)


def _count_in_memory(named: str) -> None:
    del os.environ[VARIABLE]
    import prometheus_client.values  # noqa: F401 - what it decides now holds

    os.environ[VARIABLE] = named  # for processes that we start, and to show what others count

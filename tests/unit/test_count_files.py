"""Room for counters: a disk that fills up ends no process that counts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs_core.counted import VARIABLE

_COUNTS = """
import resource, sys
if sys.argv[1:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # as a disk that is full
from cli.count_files import make_room
make_room()
import gateways.metrics, sessions.metrics, workers.metrics
from jobs_core.counted import Counted, page_of
from jobs_core.metrics import of_type
workers.metrics.draining.set(1)
gateways.metrics.telegram_reconciled.labels("bot").set_to_current_time()
for n in range(100):
    of_type(f"type_{n}").created.inc()
print(page_of(Counted()).decode().count("jobs_created_total{"))
"""


def count(folder: Path | str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, VARIABLE: str(folder), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", _COUNTS, *arguments]
    return subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot promise room")
def test_no_file_that_is_counted_into_has_a_hole_that_a_full_disk_could_not_fill(tmp_path: Path) -> None:
    assert count(tmp_path).stdout == "100\n"
    files = {file.name.rpartition("_")[0]: file.stat() for file in tmp_path.glob("*.db")}
    assert {*files} == {"counter", "histogram", "gauge_livesum", "gauge_livemax"}
    assert {kind: found.st_blocks * 512 >= found.st_size for kind, found in files.items()} == dict.fromkeys(files, True)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot promise room")
def test_a_process_that_finds_no_room_counts_for_itself_and_lives(tmp_path: Path) -> None:
    found = count(tmp_path, "full")
    assert (found.returncode, found.stdout) == (0, "0\n")
    assert "no room for counters in" in found.stderr
    assert list(tmp_path.glob("*.db")) == []
    assert "No such file" in count(tmp_path / "gone").stderr


def test_an_empty_name_is_no_folder(tmp_path: Path) -> None:
    assert count("", cwd=tmp_path).stdout == "100\n"
    assert list(tmp_path.iterdir()) == []
